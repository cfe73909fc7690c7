# SPDX-License-Identifier: Apache-2.0
"""Pickling by value: cloudpickle, and what it would send as a name that no worker knows, or not whole.

Code of a script or a notebook lives in ``__main__``, and every process has one of its own. cloudpickle sends functions
and classes from there by value. Here the same is done for other things that pickle as their name (cached functions,
``NewType``, sentinels), for the slots of classes, for descriptors that hold a lock of Python's, for weak dictionaries,
and for exceptions (``exceptions``). Figures of matplotlib travel as what they are, not as windows.
"""

from __future__ import annotations

import functools
import io
import sys
import threading
import types
import weakref
from collections.abc import Callable
from enum import Enum
from typing import Any

import cloudpickle

from flamepy.codec import exceptions
from flamepy.errors import InvalidState

if not hasattr(cloudpickle, "Pickler"):
    raise InvalidState(
        f"{cloudpickle.__file__} takes the place of the installed cloudpickle, which calls need: rename it, and start "
        "again."
    )

_PROTOCOL = 5
LRU_CACHE: type = type(functools.lru_cache(lambda: None))
SCRIPTS = ("__main__", "__mp_main__")
_WEAK_DICTIONARIES = (weakref.WeakKeyDictionary, weakref.WeakValueDictionary)
_LOCK: type = type(threading.RLock())
_NO_FILE = "<dynamic-code>"  # what cloudpickle puts in the place of every file name
on_cached: list[Callable[[Any], None]] = []  # told of every cached function that arrives
_SET_BY_LRU_CACHE = ("__wrapped__", "cache_parameters")


class Pickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """buffer_callback: as of ``pickle.Pickler``; has_causes: exceptions take along what they were raised from."""

    def __init__(
        self, file: Any, *, buffer_callback: Callable[[Any], object] | None = None, has_causes: bool = False
    ) -> None:
        super().__init__(file, protocol=_PROTOCOL, buffer_callback=buffer_callback)
        self._has_causes = has_causes

    def reducer_override(self, value: Any) -> Any:
        """Asked by pickle for each object that is no plain builtin: how it is pickled, NotImplemented = as usual."""
        kind = type(value)
        if issubclass(kind, type):
            reduced = super().reducer_override(value)
            return _with_slots(value, reduced) if "__slots__" in vars(value) else reduced
        if kind is types.FunctionType:
            return super().reducer_override(value)
        if kind is types.CodeType:
            return _with_file_name(value, self.dispatch_table[kind](value))
        if issubclass(kind, BaseException):
            return exceptions.reduced(value, has_causes=self._has_causes)
        if kind is LRU_CACHE:
            return NotImplemented if _is_importable(value) else _reduced_cache(value)
        if issubclass(kind, functools.cached_property):
            return _reduced_without_lock(value)
        figure = sys.modules.get("matplotlib.figure")
        if figure is not None and issubclass(kind, figure.Figure):
            return _without_pyplot(value)
        if kind in _WEAK_DICTIONARIES:
            return kind, (dict(value),)
        is_own = getattr(kind, "__reduce__") is not object.__reduce__ and kind not in self.dispatch_table  # noqa: B009
        if is_own and getattr(value, "__module__", "") in SCRIPTS:
            return _not_as_a_name(value)
        return super().reducer_override(value)


def dumps(value: Any, *, buffer_callback: Callable[[Any], object] | None = None, has_causes: bool = False) -> bytes:
    """Pickle ``value``. Raises what pickling raises."""
    script = sys.modules.get("__mp_main__")  # elsewhere that is another name for __main__
    if script is not None and script.__name__ == "__mp_main__":
        cloudpickle.register_pickle_by_value(script)  # a worker has another, or none
    with io.BytesIO() as file:
        Pickler(file, buffer_callback=buffer_callback, has_causes=has_causes).dump(value)
        return file.getvalue()


def _is_importable(value: Any) -> bool:
    """Does another process find it under its name?"""
    module = sys.modules.get(value.__module__ or "")
    if module is None or module.__name__ in ("__main__", *cloudpickle.list_registry_pickle_by_value()):
        return False
    found: Any = module
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is value


def _with_file_name(code: types.CodeType, reduced: Any) -> Any:
    """cloudpickle leaves out which file the code is from; tracebacks of a script's functions need it.

    The cells of a notebook are no files: their names differ from kernel to kernel, and the notebook knows its lines.
    """
    if code.co_filename != getattr(sys.modules.get("__main__"), "__file__", None):
        return reduced
    make, arguments = reduced
    return make, tuple(code.co_filename if each == _NO_FILE else each for each in arguments)


def _with_slots(cls: type, reduced: Any) -> Any:
    """cloudpickle makes a class anew without its slots; with them in the first step they are made by Python."""
    if not isinstance(reduced, tuple) or issubclass(cls, Enum) or _has_own_way(cls):
        return reduced
    make, (metaclass, name, bases, given, *further), (state, others), *rest = reduced
    own = {
        key: each
        for key, each in vars(cls).items()
        if isinstance(each, (types.MemberDescriptorType, types.GetSetDescriptorType)) and each.__objclass__ is cls
    }
    state = {key: each for key, each in state.items() if key not in own}
    slots = vars(cls)["__slots__"]
    if not isinstance(slots, (str, tuple, list, dict)):  # an iterator, which is used up
        state["__slots__"] = tuple(own)
    given = {**given, "__slots__": tuple(own)}  # private ones under the name that Python gave them
    return (make, (metaclass, name, bases, given, *further), (state, others), *rest)


def _has_own_way(cls: type) -> bool:
    """Is it a ``typing.NamedTuple``? That makes slots by itself, and takes none."""
    return issubclass(cls, tuple) and "_fields" in vars(cls) and "__orig_bases__" in vars(cls)


def _reduced_cache(cached: Any) -> Any:
    attributes = {key: each for key, each in vars(cached).items() if key not in _SET_BY_LRU_CACHE}
    return _cached_again, (cached.__wrapped__, cached.cache_parameters()), attributes or None


def _cached_again(function: Callable[..., Any], parameters: dict[str, Any]) -> Any:
    """The same with an empty cache: what it holds belongs to the process that computed it."""
    cached = functools.lru_cache(**parameters)(function)
    for note in on_cached:
        note(cached)
    return cached


def _reduced_without_lock(descriptor: functools.cached_property[Any]) -> Any:
    """cached_property has a lock before Python 3.12."""
    state = {key: each for key, each in vars(descriptor).items() if not isinstance(each, _LOCK)}
    locks = [key for key, each in vars(descriptor).items() if isinstance(each, _LOCK)]
    return _descriptor_again, (type(descriptor), locks), state


def _descriptor_again(cls: type, locks: list[str]) -> Any:
    descriptor = _bare(cls)
    vars(descriptor).update({key: threading.RLock() for key in locks})
    return descriptor


def _without_pyplot(figure: Any) -> Any:
    """A figure that pyplot made asks to be shown where it is read: in a notebook, below whichever cell reads it."""
    reduced = figure.__reduce_ex__(_PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) < 3 or not isinstance(reduced[2], dict):
        return reduced
    state = {name: each for name, each in reduced[2].items() if name != "_restore_to_pylab"}
    return (*reduced[:2], state, *reduced[3:])


def _not_as_a_name(value: Any) -> Any:
    """What its ``__reduce__`` says, unless that is a name in ``__main__``: then the object goes along."""
    reduced = value.__reduce_ex__(_PROTOCOL)
    if not isinstance(reduced, str):
        return reduced
    return _named_in_main, (reduced, _Parts(value))


class _Parts:
    """An object by its class and state, for one that pickles as a name."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        value = self.value
        return _bare, (type(value),), dict(getattr(value, "__dict__", {})) or None


def _bare(cls: type) -> Any:
    made: Any = cls
    return made.__new__(made)


def _named_in_main(name: str, value: Any) -> Any:
    """The object of this name, if there is one of its kind here: a sentinel must stay the only one."""
    main = sys.modules["__main__"]
    if not hasattr(main, name):
        setattr(main, name, value)
    found = getattr(main, name)
    return found if type(found) is type(value) else value  # a name that means something else by now stays as it is
