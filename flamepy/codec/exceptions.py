# SPDX-License-Identifier: Apache-2.0
"""Exceptions <-> their parts, so that one can be made again as it was, with its type, text, args and attributes.

Pickle makes an exception by calling its class with its ``args``: many classes of users cannot be called so, and slots,
notes and causes stay behind. Here one is made without running ``__new__`` or ``__init__`` of the user's class, and all
that it holds is put back. A class that says how it pickles is believed. Standard library only.
"""

from __future__ import annotations

import builtins
import copyreg
import types
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from flamepy.errors import RemoteTraceback

_PROTOCOL = 5
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: not set on the exception classes that are written in C
_HOW_IT_PICKLES = ("__reduce__", "__reduce_ex__", "__getstate__", "__setstate__")
_PLAIN_BASES = (Exception, BaseException, object)
_BASE: Any = BaseException  # its descriptors are used past what user classes say about attributes
_GROUPS: Any = getattr(builtins, "BaseExceptionGroup", ())  # Python 3.10 has none
_HAS_CAUSES = "_flame_user_type"  # of the classes that runner.failures makes: they pickle with their causes
_NEVER_TAKEN = frozenset({"obj"})  # AttributeError.obj: it may be anything, and Python's own pickle leaves it out


class Parts(NamedTuple):
    """attributes: its ``__dict__``, notes included; fields: what lies elsewhere, OSError.errno or ``__slots__``."""

    args: tuple[Any, ...]
    attributes: dict[str, Any]
    fields: dict[str, Any]


class Causes(NamedTuple):
    """What Python prints above an exception."""

    cause: BaseException | None
    context: BaseException | None
    is_context_hidden: bool


def parts_of(error: BaseException) -> Parts:
    """Everything that ``error`` holds, read past the properties and ``__getattribute__`` of its class."""
    fields = {}
    for name, descriptor in _fields_of(type(error)):
        try:
            value = descriptor.__get__(error)
        except AttributeError:  # unset
            continue
        # of a class written in C, None is what an unset field reads as: OSError would show it
        if value is not None or descriptor.__objclass__.__flags__ & _HEAP_TYPE:
            fields[name] = value
    return Parts(_BASE.args.__get__(error), dict(attributes_of(error)), fields)


def attributes_of(error: BaseException) -> dict[str, Any]:
    """The ``__dict__`` itself, whatever its class says about attributes."""
    attributes: dict[str, Any] = object.__getattribute__(error, "__dict__")
    return attributes


def bare(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    """An instance without running the user's ``__new__`` and ``__init__``, whose arguments are not known."""
    in_c: type = cls
    while in_c.__flags__ & _HEAP_TYPE:  # along the bases that decide the layout: Python allows only their __new__
        assert in_c.__base__ is not None
        in_c = in_c.__base__
    make: Any = in_c.__new__
    try:
        error: BaseException = make(cls)
    except TypeError:  # ExceptionGroup wants its arguments
        error = make(cls, *args)
    return error


def fill(error: BaseException, parts: Parts) -> None:
    """Put back what ``parts_of`` took."""
    _BASE.args.__set__(error, parts.args)
    attributes_of(error).update(parts.attributes)
    for name, descriptor in _fields_of(type(error)):
        if name in parts.fields:
            try:
                descriptor.__set__(error, parts.fields[name])
            except (AttributeError, TypeError):  # read-only: its maker has set it
                continue


def causes_of(error: BaseException) -> Causes:
    """Without the text of another traceback, which is told anew at each border."""
    cause = error.__cause__
    return Causes(None if isinstance(cause, RemoteTraceback) else cause, error.__context__, error.__suppress_context__)


def put_causes(error: BaseException, causes: Causes) -> None:
    _BASE.__cause__.__set__(error, causes.cause)
    _BASE.__context__.__set__(error, causes.context)
    _BASE.__suppress_context__.__set__(error, causes.is_context_hidden)


def annotate(error: BaseException, note: str) -> None:
    """Add a note, as ``add_note`` of Python 3.11 does; past a ``__setattr__`` of its class."""
    attributes = attributes_of(error)
    attributes["__notes__"] = [*attributes.get("__notes__", ()), note]


def reduced(error: BaseException, *, has_causes: bool) -> Any:
    """For ``reducer_override`` of a pickler. has_causes: what it was raised from goes along."""
    causes = causes_of(error) if has_causes and not hasattr(type(error), _HAS_CAUSES) else None
    if _says_how_it_pickles(type(error)):
        reduced_ = error.__reduce_ex__(_PROTOCOL)
        if causes is None or not isinstance(reduced_, tuple) or any(part is not None for part in reduced_[3:]):
            return reduced_
        notes = attributes_of(error).get("__notes__")
        state = reduced_[2] if len(reduced_) > 2 else None
        return (*reduced_[:2], (state, notes, causes), None, None, _restore)
    args = error.args if isinstance(error, _GROUPS) else ()
    return bare, (type(error), args), (parts_of(error), causes), None, None, _fill_anew


class Carried:
    """An exception inside a plain pickle: it unpickles as the exception, however its constructor is called."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> Any:
        return reduced(self.error, has_causes=False)


def _fill_anew(error: BaseException, state: tuple[Parts, Causes | None]) -> None:
    parts, causes = state
    fill(error, parts)
    if causes is not None:
        put_causes(error, causes)


def _restore(error: BaseException, state: tuple[Any, Any, Causes]) -> None:
    own, notes, causes = state
    if own is not None:
        error.__setstate__(own)
    if notes is not None:
        attributes_of(error)["__notes__"] = notes
    put_causes(error, causes)


def _says_how_it_pickles(cls: type) -> bool:
    if cls in copyreg.dispatch_table:
        return True
    found = (getattr(cls, name, None) for name in _HOW_IT_PICKLES)
    return not all(each is None or _is_of_python(each) for each in found)


def _is_of_python(method: Any) -> bool:
    """Is it written in C, in Python itself?"""
    owner: Callable[..., Any] | None = getattr(method, "__objclass__", None)
    return isinstance(method, types.MethodDescriptorType) and getattr(owner, "__module__", "") == "builtins"


def _fields_of(cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        if base in _PLAIN_BASES:
            continue
        for name, descriptor in vars(base).items():
            if name[:2] == "__" or name in _NEVER_TAKEN:
                continue
            if isinstance(descriptor, (types.MemberDescriptorType, types.GetSetDescriptorType)):
                yield name, descriptor
