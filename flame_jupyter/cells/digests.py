# SPDX-License-Identifier: Apache-2.0
"""Digests that are equal for equal code and equal data. Never over the pickle of a class: that differs each time."""

from __future__ import annotations

import hashlib
import pickle
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashlib import _Hash

_NAMESPACE = "__main__"
_REMOTE = frozenset({"flamepy", "flame_jupyter"})


def code_digest(code: types.CodeType) -> str:
    """Of what the code does: comments, layout, line numbers and the file do not count."""
    digest = hashlib.sha256()
    _add_code(digest, code)
    return digest.hexdigest()


def data_digest(value: Any, definition: Callable[[Any], str]) -> str:
    """Of the value's pickle; what cannot be pickled is the same as long as it is the same object.

    definition: the digest of a function or class of the notebook, for those that the value holds.
    """
    return measured_digest(value, definition)[0]


def measured_digest(value: Any, definition: Callable[[Any], str]) -> tuple[str, int]:
    """The same, and how many bytes the pickle has."""
    sink = _Sink()
    try:
        _Pickler(sink, definition).dump(value)
    except Exception:  # noqa: BLE001 - users' __reduce__ and __getstate__ raise anything
        return f"{type(value).__qualname__} at {id(value)}", 0
    return sink.digest.hexdigest(), sink.nbytes


class _Pickler(pickle.Pickler):
    """Pickles into a digest: nothing is kept, and big buffers are not copied."""

    def __init__(self, sink: _Sink, definition: Callable[[Any], str]) -> None:
        super().__init__(sink, protocol=5, buffer_callback=lambda buffer: sink.take(buffer.raw()))
        self._definition = definition
        self._inside: set[int] = set()

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, types.ModuleType):
            return str, (obj.__name__,)
        if type(obj).__module__.partition(".")[0] in _REMOTE:
            return str, (_remote_identity(obj),)
        is_definition = isinstance(obj, (types.FunctionType, type))
        if not is_definition or obj.__module__ != _NAMESPACE or id(obj) in self._inside:
            return NotImplemented
        self._inside.add(id(obj))
        return str, (f"{obj.__qualname__} {self._definition(obj)}",)


def _remote_identity(obj: Any) -> str:
    """For futures, services and the like: pickling them has effects, such as a session that opens."""
    from flamepy import ObjectFuture

    return f"call {obj.session_id} {obj.task_id}" if isinstance(obj, ObjectFuture) else f"{type(obj)} at {id(obj)}"


class _Sink:
    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.nbytes = 0

    def write(self, data: bytes | memoryview) -> int:
        nbytes = memoryview(data).nbytes
        self.digest.update(data)
        self.nbytes += nbytes
        return nbytes

    def take(self, buffer: memoryview) -> None:
        """A buffer that stays out of the stream, because this returns nothing."""
        self.write(buffer)


def _add_code(digest: _Hash, code: types.CodeType) -> None:
    shape = (code.co_name, code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)
    digest.update(repr((shape, names)).encode())
    digest.update(code.co_code)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _add_code(digest, constant)
        else:
            digest.update(_shown(constant).encode())


def _shown(constant: Any) -> str:
    """``repr``, the same for equal sets."""
    if isinstance(constant, frozenset):
        return f"set{sorted(map(_shown, constant))}"
    if isinstance(constant, tuple):
        return f"({', '.join(map(_shown, constant))})"
    return f"{type(constant).__name__} {constant!r}"
