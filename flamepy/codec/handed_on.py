# SPDX-License-Identifier: Apache-2.0
"""Code of a script that a call hands on: to pools, executors and processes of multiprocessing.

multiprocessing pickles functions and classes as names, to be found in ``__main__``: its children are copies of their
parent, or run the script again. A worker's ``__main__`` is empty. So in a worker, and in the processes below it, code
of the script goes as a token, by which a process finds what it has (a forked child inherits it, with all that the
call has done to it), together with the code by value, for a process that does not have it.

Plain pickle, of the user or of a library, finds functions and classes of the script in ``__main__`` too, as long as
they are used: they are not held there, because they may hold much themselves.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import pickle
import sys
import threading
import types
import uuid
import weakref
from collections import ChainMap
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from typing import Any

from cloudpickle import cloudpickle

from flamepy.codec import byvalue

_REDUCTION = "multiprocessing.reduction"
_NAMESPACE = "__flame_namespace__"  # in the globals of functions: which of them share these
_SETTERS = ("_function_setstate", "_class_setstate")  # what cloudpickle calls last when code arrives


@dataclass
class _Process:
    """What this process knows; forked children have a copy.

    worker_pid: of the worker above; None in children that share no memory with it. encoded: code by value, for pools
    that are there; it is the same with every item. namespaces: globals of functions that came by value, by token.
    kept: what came by value to a child, because the next item of its pool needs it again. named: what ``__main__``
    seems to have, the newest of each name; hidden_from: the thread for which it does not.
    """

    worker_pid: int | None = None
    is_hooked: bool = False
    token_of: weakref.WeakKeyDictionary[Any, str] = field(default_factory=weakref.WeakKeyDictionary)
    named: weakref.WeakValueDictionary[str, Any] = field(default_factory=weakref.WeakValueDictionary)
    hidden_from: int | None = None
    known: weakref.WeakValueDictionary[str, Any] = field(default_factory=weakref.WeakValueDictionary)
    encoded: weakref.WeakKeyDictionary[Any, bytes | str] = field(default_factory=weakref.WeakKeyDictionary)
    namespaces: dict[str, dict[str, Any]] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)


_process = _Process()


def hook_in_worker() -> None:
    """From now on code of the caller's script can be handed on to children of multiprocessing."""
    _process.worker_pid = os.getpid()
    _hook_pickling()


def _hook_pickling() -> None:
    if _process.is_hooked:
        return
    _process.is_hooked = True
    byvalue.on_cached.append(_note)
    vars(sys.modules["__main__"]).setdefault("__getattr__", _attribute_of_main)
    for name in _SETTERS:
        if (setter := getattr(cloudpickle, name, None)) is not None:
            setattr(cloudpickle, name, _noting(setter))
    if (reduction := sys.modules.get(_REDUCTION)) is not None:
        _teach(reduction)
    else:
        sys.meta_path.insert(0, _TeachWhenImported())


class _TeachWhenImported:
    """Most calls do without multiprocessing, which takes a while to import."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _REDUCTION:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            run: Callable[[types.ModuleType], None] = spec.loader.exec_module

            def run_and_teach(module: types.ModuleType) -> None:
                run(module)
                _teach(module)

            vars(spec.loader)["exec_module"] = run_and_teach
        return spec


def _teach(reduction: Any) -> None:
    reduction.ForkingPickler.reducer_override = _reducer_override


def _noting(setter: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Code that arrives is known from then on, so that a child that is forked later finds it."""

    @functools.wraps(setter)
    def set_and_note(value: Any, state: Any) -> Any:
        result = setter(value, state)
        _note(value)
        return result

    return set_and_note


def _note(value: Any) -> None:
    if _is_of_script(value):
        _token(value)
        _process.named[value.__qualname__] = value


def _attribute_of_main(name: str) -> Any:
    found = None if _process.hidden_from == threading.get_ident() else _process.named.get(name)
    if found is None:
        raise AttributeError(f"module '__main__' has no attribute {name!r}")
    return found


def hide_names(*, is_hidden: bool) -> None:
    """Before and after this thread pickles for another worker, which may not know what it finds in ``__main__``."""
    _process.hidden_from = threading.get_ident() if is_hidden else None


def _is_of_script(value: Any) -> bool:
    """Could multiprocessing find it by its name in a script? Others it refuses, here as there."""
    return getattr(value, "__module__", None) in byvalue.SCRIPTS and "<" not in getattr(value, "__qualname__", "<")


def _token(value: Any) -> str:
    token = _process.token_of.get(value)
    if token is None:
        token = _process.token_of[value] = uuid.uuid4().hex
        _process.known[token] = value
    return token


# --- sending ----------------------------------------------------------------------------------------------------------


def _reducer_override(pickler: Any, value: Any) -> Any:
    """Of multiprocessing's pickler: asked for each object that is no plain builtin."""
    kind = type(value)
    if kind is not types.FunctionType and not issubclass(kind, type) and kind is not byvalue.LRU_CACHE:
        return NotImplemented
    is_starting_child = sys.modules["multiprocessing.context"].get_spawning_popen() is not None
    if is_starting_child:
        _process.encoded.clear()  # the new child begins with the values that globals have now
    if not _is_of_script(value):
        return NotImplemented
    # while a child is started, locks and pipes of multiprocessing may go along, and to that child only
    encoded = _encoded(value, pickler.dispatch_table) if is_starting_child else _process.encoded.get(value)
    if encoded is None:
        encoded = _process.encoded[value] = _encoded(value, {})
    return _here, (_token(value), value.__qualname__, encoded)


def _encoded(value: Any, table: MutableMapping[Any, Any]) -> bytes | str:
    """The code by value; or why that is not possible, for a process that does not have it."""
    try:
        with io.BytesIO() as file:
            _Pickler(file, table).dump(value)
            return file.getvalue()
    except Exception as error:  # noqa: BLE001 - a forked child does not need it
        return f"{type(error).__name__}: {error}"


class _Pickler(byvalue.Pickler):
    """Functions that share their globals here share them there too, so that initializers of pools can set some."""

    def __init__(self, file: Any, table: MutableMapping[Any, Any]) -> None:
        self.dispatch_table = ChainMap(byvalue.Pickler.dispatch_table, table)  # pickle looks while it is made
        super().__init__(file)

    def reducer_override(self, value: Any) -> Any:
        reduced = super().reducer_override(value)
        if type(value) is not types.FunctionType or not isinstance(reduced, tuple) or len(reduced) != 6:
            return reduced
        make, (code, base, *others), state, _, _, setter = reduced
        token = value.__globals__.setdefault(_NAMESPACE, uuid.uuid4().hex)
        return make, (code, _Namespace(token, base), *others), (setter, state), None, None, _set_new_names


class _Namespace:
    """Stands for the globals of a function."""

    def __init__(self, token: str, base: dict[str, Any]) -> None:
        self._token, self._base = token, base

    def __reduce__(self) -> tuple[Any, ...]:
        return _namespace, (self._token, self._base)


# --- receiving --------------------------------------------------------------------------------------------------------


def _here(token: str, name: str, encoded: bytes | str) -> Any:
    """The function or class of this token. Raises UnpicklingError when it is not known and did not come along."""
    if (found := _process.known.get(token)) is not None:
        return found
    if not _process.is_hooked and (found := _in_main(name)) is not None:
        return found  # this process runs the script, such as a manager that the caller has started
    if isinstance(encoded, str):
        raise pickle.UnpicklingError(
            f"{name} is not known in this process, and cannot be sent to it: {encoded}. Start the processes after "
            f"{name} has come to the call, or pass what cannot be sent as an argument of their start (initargs, args)."
        )
    _hook_pickling()
    value = pickle.loads(encoded)
    _process.known[token] = value
    with contextlib.suppress(TypeError):
        _process.token_of[value] = token
    if os.getpid() != _process.worker_pid:
        _process.kept[token] = value
    return value


def _in_main(name: str) -> Any:
    found: Any = sys.modules["__main__"]
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _namespace(token: str, base: dict[str, Any]) -> dict[str, Any]:
    names = _process.namespaces.setdefault(token, {_NAMESPACE: token})
    for name, value in base.items():
        names.setdefault(name, value)
    return names


def _set_new_names(function: Any, packed: Any) -> None:
    """As cloudpickle does; what the process has put into the globals by itself, as initializers do, stays."""
    setter, (attributes, others) = packed
    known = function.__globals__
    new = {name: value for name, value in others["__globals__"].items() if name not in known}
    setter(function, (attributes, {**others, "__globals__": new}))
