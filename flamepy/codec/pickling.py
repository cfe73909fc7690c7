# SPDX-License-Identifier: Apache-2.0
"""Values <-> payloads: the first hop of a call (encode, in the caller) and the last one (decode, where it is needed).

Plain pickle first, because it is six times faster than cloudpickle; cloudpickle for what plain pickle cannot say
or would say wrongly (anything defined in ``__main__``). Big buffers stay outside the stream, so that they are copied
once, straight into shared memory. Futures inside a value are met by the pickler itself, wherever they hide.
"""

from __future__ import annotations

import pickle
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType

from flamepy.codec.payload import Payload
from flamepy.errors import InvalidState, NotPicklable

OUT_OF_BAND_BYTES = 16 * 1024  # a smaller buffer costs less inside the stream than as a part of its own
_PROTOCOL = 5  # the first one with out-of-band buffers, and what 0.6 workers read
_NAMED = b"\x93"  # STACK_GLOBAL: a stream without it refers to no class, function or module by name
_MAIN = b"_main__"  # the end of __main__, and of __mp_main__: so the script is called in children of multiprocessing
_FIGURE = b"_restore_to_pylab"  # a figure that pyplot would show wherever it is read (byvalue.py)
_CURE = (
    "Create it inside the function that runs on the worker, or leave it out of the object's state with __getstate__."
)


class _Thread(threading.local):
    """What the innermost encode and decode of this thread are doing; None outside of them."""

    dependencies: list[object] | None = None  # met so far, in order of appearance, each once
    indexed: list[object] | None = None  # the dependencies that ``index_of`` is about
    index_of: dict[int, int]  # by id
    resolved: Sequence[object] | None = None


_thread = _Thread()


def encode(value: object, *, dependencies: list[object] | None = None, what: str = "value") -> Payload:
    """Encode ``value``; its big buffers are referred to, not copied: they must not change until the payload is stored.

    dependencies: when given, futures inside the value are appended here and leave a placeholder. what: the name of the
    value in an error. Raises NotPicklable, which names the culprit and keeps the cause.
    """
    buffers: list[memoryview] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes < OUT_OF_BAND_BYTES:
            return True
        buffers.append(view)
        return False

    outer = _thread.dependencies
    known = len(dependencies) if dependencies else 0
    _thread.dependencies = dependencies
    try:
        try:
            if is_loaded_by_name(type(value)):
                data = pickle.dumps(value, _PROTOCOL, buffer_callback=keep_inside)
                if _NAMED not in data or not (_MAIN in data or _FIGURE in data or _has_modules_by_value()):
                    return Payload(data, buffers)
        except Exception:  # noqa: BLE001 - whatever plain pickle dislikes, cloudpickle is asked next
            pass
        del buffers[:]
        if dependencies is not None:
            del dependencies[known:]
            _thread.indexed = None
        from flamepy.codec.byvalue import dumps  # here, because most calls do without it

        try:
            return Payload(dumps(value, buffer_callback=keep_inside), buffers)
        except MemoryError:  # not the value's fault
            raise
        except Exception as error:
            raise NotPicklable(_explanation(value, what, error)) from error
    finally:
        _thread.dependencies = outer


def encode_exception(error: BaseException, *, has_causes: bool) -> Payload:
    """Encode an exception with its type, args, attributes and fields, whatever its constructor takes.

    has_causes: with what it, and the exceptions inside it, were raised from. Raises what pickling raises.
    """
    from flamepy.codec.byvalue import dumps

    buffers: list[memoryview] = []

    def keep_inside(buffer: pickle.PickleBuffer) -> bool:
        view = buffer.raw()
        if view.nbytes >= OUT_OF_BAND_BYTES:
            buffers.append(view)
        return view.nbytes < OUT_OF_BAND_BYTES

    return Payload(dumps(error, buffer_callback=keep_inside, has_causes=has_causes), buffers)


def decode(payload: Payload, dependencies: Sequence[object] = ()) -> object:
    """Decode what ``encode`` made; ``dependencies`` are the values for its placeholders, by position.

    Big buffers of the result lie in the payload's own memory: ``Blob.payload()`` gives each reader a private one.
    Raises what unpickling raises, such as ImportError for a module that does not exist here.
    """
    outer = _thread.resolved
    _thread.resolved = dependencies
    try:
        return pickle.loads(payload.data, buffers=payload.buffers)
    finally:
        _thread.resolved = outer


def is_loaded_by_name(cls: type) -> bool:
    """Is its module loaded? If not, the class came by value, and plain pickle would import the module to name it."""
    return cls.__module__ in sys.modules


def placeholder(dependency: object) -> tuple[Callable[[int], object], tuple[int]] | None:
    """For ``__reduce__`` of a future: what to leave in the stream; None when this thread collects none."""
    dependencies = _thread.dependencies
    if dependencies is None:
        return None
    if _thread.indexed is not dependencies:
        _thread.indexed = dependencies
        _thread.index_of = {id(each): index for index, each in enumerate(dependencies)}
    index = _thread.index_of.setdefault(id(dependency), len(dependencies))
    if index == len(dependencies):
        dependencies.append(dependency)
    return resolve_dependency, (index,)


def resolve_dependency(index: int) -> object:
    """The value of a placeholder, called while ``decode`` unpickles. Raises InvalidState anywhere else."""
    resolved = _thread.resolved
    if resolved is None or index >= len(resolved):
        raise InvalidState(
            f"result {index} of another call is not known here: this pickle was made as the argument of a call. "
            "Call .get() on the future first, and pickle its value."
        )
    return resolved[index]


def _has_modules_by_value() -> bool:
    """Did the user ask cloudpickle to send some module's code? Plain pickle would send its name only."""
    module: ModuleType | None = sys.modules.get("cloudpickle")
    return module is not None and bool(module.list_registry_pickle_by_value())


def _explanation(value: object, what: str, error: Exception) -> str:
    if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
        return (
            f"{what} cannot be pickled: it is nested too deeply (objects in objects in objects ...). "
            "Flatten it, for example by keeping its nodes in a list."
        )
    from flamepy.codec.culprit import find_culprit  # here, because only failures need it

    reason = f"{type(error).__name__}: {error}".rstrip(": .")
    return f"{what} cannot be pickled because of {find_culprit(value)}: {reason}. {_CURE}"
