# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments are found where the call is made, in the words of Python, before anything is sent anywhere.

The arguments are given to a function without a body that takes the same ones: binding them is what Python does in any
call, so it costs a tenth of a microsecond and is right about every rule. What takes anything is not looked at, and
neither is what tells no signature.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from types import FunctionType, MethodType
from typing import Any

from flamepy.errors import InvalidArgument

Check = Callable[..., object]
_KEPT_CLASSES = 256  # a notebook makes new docstrings each time its cells are edited: old ones must go
_EMPTY = (lambda: None).__code__
_CachedFunction = type(functools.cache(lambda: None))
_TAKES_ANY_NUMBER = inspect.CO_VARARGS
_TAKES_ANY_NAME = inspect.CO_VARKEYWORDS


class WrongArguments(InvalidArgument, TypeError):
    """A call with arguments that the function does not take: too many, too few, or of another name."""


def check_of(function: object) -> Check | None:
    """Raises TypeError when called with arguments that ``function`` does not take; None where that is not known."""
    if isinstance(function, functools.partial):
        inner = check_of(function.func)
        return None if inner is None else functools.partial(inner, *function.args, **function.keywords)
    if isinstance(function, MethodType):
        inner = check_of(function.__func__)
        return None if inner is None else functools.partial(inner, None)
    if isinstance(function, _CachedFunction):  # hands on what it is given
        return check_of(function.__wrapped__)
    return _bodiless(function) if isinstance(function, FunctionType) else None


def check_of_method(cls: type, name: str) -> Check | None:
    """The same for a call of this method on an object of ``cls``."""
    if any("__getattribute__" in vars(base) for base in cls.__mro__[:-1]) or _may_hide(cls, name):
        return None
    attribute = inspect.getattr_static(cls, name, None)
    if isinstance(attribute, staticmethod):
        return check_of(attribute.__func__)
    if isinstance(attribute, classmethod):
        attribute = attribute.__func__
    elif isinstance(attribute, functools.partialmethod):
        attribute = functools.partial(attribute.func, None, *attribute.args, **attribute.keywords)
        return check_of(attribute)
    check = check_of(attribute) if isinstance(attribute, (FunctionType, _CachedFunction)) else None
    return None if check is None else functools.partial(check, None)


def _may_hide(cls: type, name: str) -> bool:
    """Does the constructor name this attribute, and so perhaps put something else in its place?"""
    constructors = (vars(base).get("__init__") for base in cls.__mro__)
    return any(isinstance(each, FunctionType) and name in each.__code__.co_names for each in constructors)


def _own_names(instance: object) -> Collection[str]:
    try:
        names: Collection[str] = object.__getattribute__(instance, "__dict__")
    except AttributeError:  # it has slots only
        return ()
    return names


def _bodiless(function: FunctionType) -> Check | None:
    code = function.__code__
    takes_any = code.co_flags & (_TAKES_ANY_NUMBER | _TAKES_ANY_NAME)
    number = code.co_argcount + code.co_kwonlyargcount
    if takes_any == _TAKES_ANY_NUMBER | _TAKES_ANY_NAME and not number:
        return None
    names = code.co_varnames[: number + takes_any.bit_count()]
    bodiless = FunctionType(
        _EMPTY.replace(
            co_argcount=code.co_argcount,
            co_posonlyargcount=code.co_posonlyargcount,
            co_kwonlyargcount=code.co_kwonlyargcount,
            co_varnames=names,
            co_nlocals=len(names),
            co_flags=_EMPTY.co_flags | takes_any,
            co_name=code.co_name,
        ),
        {},
        function.__name__,
        None if function.__defaults__ is None else (None,) * len(function.__defaults__),
    )
    bodiless.__kwdefaults__ = None if function.__kwdefaults__ is None else dict.fromkeys(function.__kwdefaults__)
    bodiless.__qualname__ = function.__qualname__
    return bodiless


def checks_of(
    execution_object: Any, kind: str, methods: Mapping[str, str], *, is_callable: bool
) -> dict[str | None, Check]:
    """The checks of a service's calls, by method; None for the call of the handle itself."""
    if kind == "function":
        found: dict[str | None, Check | None] = {None: check_of(execution_object)}
    else:
        cls = execution_object if kind == "class" else type(execution_object)
        own = () if kind == "class" else _own_names(execution_object)
        found = {name: None if name in own else check_of_method(cls, name) for name in methods}
        if is_callable:
            found[None] = check_of_method(cls, "__call__")
    return {name: check for name, check in found.items() if check is not None}


def shown_in_help(execution_object: Any, kind: str) -> Any:
    """What ``help`` of a service is about: the function, or the class of the object."""
    if kind == "instance":
        return type(execution_object)
    while isinstance(execution_object, functools.partial):  # its arguments may be big, and must not be kept alive
        execution_object = execution_object.func
    return execution_object


@functools.lru_cache(maxsize=_KEPT_CLASSES)
def described(cls: type, doc: str | None) -> Any:
    """``cls`` with the docstring of what its objects stand for.

    Of the class and not of the object, because ``help`` then goes on to its ``__origin__``, and ``?`` shows it once.
    """
    return type(cls.__name__, (cls,), {"__doc__": doc, "__module__": cls.__module__, "__qualname__": cls.__qualname__})


def signature_of_method(cls: type, name: str) -> inspect.Signature | None:
    """The signature as the caller of a service sees it, without ``self``."""
    attribute = inspect.getattr_static(cls, name, None)
    try:
        if isinstance(attribute, (staticmethod, classmethod)):
            return inspect.signature(getattr(cls, name))
        return inspect.signature(functools.partial(attribute, None)) if callable(attribute) else None
    except (TypeError, ValueError):
        return None
