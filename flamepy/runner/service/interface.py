# SPDX-License-Identifier: Apache-2.0
"""Which calls a service offers, read from the type of its object: decided before anything is sent anywhere.

Pure functions. Nothing here looks an attribute up on an instance, so no property of the user's object ever runs. A
descriptor that is neither a function nor a property is asked what it gives for the class.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flamepy.core.shown import short_repr
from flamepy.errors import InvalidArgument
from flamepy.runner.types import kind_of

CLOSEST_LISTED = 12  # an error message lists at most so many methods


class ConstructorNeedsArguments(InvalidArgument, TypeError):
    """A class was given as a service, but it cannot be made without arguments."""


class UnknownMethod(InvalidArgument, AttributeError):
    """The service has no public method of this name."""


@dataclass(frozen=True)
class Interface:
    """What can be called. name: for people; methods: attribute of the handle -> name for people (``Counter.add``).

    is_callable: the handle itself can be called, ``service(...)``. streams: which methods are generators, None for the
    call of the handle itself. open_save: where the object decides by ``__getattr__`` what else it has, the names that
    its class has for data; None = it has no more than ``methods``.
    """

    name: str
    kind: str
    methods: Mapping[str, str]
    is_callable: bool
    streams: frozenset[str | None] = frozenset()
    open_save: frozenset[str] | None = None

    def is_left_to_object(self, attribute: str) -> bool:
        """Is it the object that knows whether it has a method of this name?"""
        return self.open_save is not None and attribute not in self.open_save


def interface_of(execution_object: Any, *, reserved: Collection[str], name: str | None = None) -> Interface:
    """Read the interface of a function, class or instance.

    reserved: names that the handle needs for itself. Raises InvalidArgument when one of them is a public method, and
    for what only an event loop could run.
    """
    kind = kind_of(execution_object)
    if kind == "function":
        shown = name or function_name(execution_object)
        if inspect.iscoroutinefunction(execution_object):
            raise InvalidArgument(
                f"{shown}() is asynchronous, but workers run no event loop: make it a plain function, 'def' instead of "
                "'async def', which may call asyncio.run()."
            )
        streams = _streams({None: execution_object}, shown)
        return Interface(shown, kind, MappingProxyType({}), True, streams)
    if isinstance(execution_object, (int, float, complex, str, bytes, type(None))):
        raise InvalidArgument(
            f"{short_repr(execution_object):.60} is a value, not something to call: pass the function itself, "
            "service(f) and not service(f(...)). A value that calls shall share goes into the cache with "
            "Runner.put_object."
        )
    cls: type = execution_object if kind == "class" else type(execution_object)
    shown = name or cls.__name__
    names = public_methods(cls)
    clashes = sorted(set(names) & set(reserved))
    if clashes:
        raise InvalidArgument(
            f"{cls.__name__}.{clashes[0]}() cannot be called through a service, because the service has a "
            f"{clashes[0]}() of its own: rename the method, or make it private (_{clashes[0]}) and offer another name."
        )
    is_callable = any(is_method(vars(base)["__call__"], cls) for base in cls.__mro__ if "__call__" in vars(base))
    open_save = open_save_of(cls)
    if not names and not is_callable and open_save is None:
        raise InvalidArgument(
            f"{cls.__name__} has no public method to call: add one, or pass a function. "
            "A value that calls shall share goes into the cache with Runner.put_object."
        )
    called: dict[str | None, object] = {each: inspect.getattr_static(cls, each) for each in names}
    if is_callable:
        called[None] = inspect.getattr_static(cls, "__call__")
    methods = MappingProxyType({each: f"{shown}.{each}" for each in names})
    return Interface(shown, kind, methods, is_callable, _streams(called, shown), open_save)


def public_methods(cls: type) -> tuple[str, ...]:
    """The names of the public methods of ``cls``, inherited, static and class methods included, in their order.

    Properties, data and nested classes are not methods. A subclass hides a method by setting its name to None.
    """
    seen: dict[str, bool] = {}
    for base in cls.__mro__:
        if base is object:
            continue
        for name, attribute in vars(base).items():
            if not name.startswith("_"):
                seen.setdefault(name, is_method(attribute, cls))
    return tuple(name for name, is_one in seen.items() if is_one)


def open_save_of(cls: type) -> frozenset[str] | None:
    """See ``Interface.open_save``."""
    if not any("__getattr__" in vars(base) for base in cls.__mro__):
        return None
    return frozenset(name for base in cls.__mro__ for name in vars(base)).difference(public_methods(cls))


def is_method(attribute: Any, cls: type) -> bool:
    """Is this entry of a class dictionary something that can be called on an object of ``cls``?"""
    if isinstance(attribute, (staticmethod, classmethod)):
        return callable(attribute.__func__)
    if isinstance(attribute, (functools.partialmethod, functools.singledispatchmethod)):
        return True
    if callable(attribute):
        return not inspect.isclass(attribute)
    # a property has a value for each object; what is a method for some objects only gives a function for the class
    if not hasattr(type(attribute), "__get__") or isinstance(attribute, (property, functools.cached_property)):
        return False
    if inspect.isdatadescriptor(attribute):
        return False
    try:
        found = attribute.__get__(None, cls)
    except Exception:  # noqa: BLE001 - code of the user's, which was written for objects
        return False
    return found is not attribute and callable(found) and not inspect.isclass(found)


def _streams(called: Mapping[str | None, object], shown: str) -> frozenset[str | None]:
    """Which of them are generator functions. Raises InvalidArgument for an async generator."""
    functions = {name: _function_of(attribute) for name, attribute in called.items()}
    for name, function in functions.items():
        if inspect.isasyncgenfunction(function):
            what = shown if name is None else f"{shown}.{name}"
            raise InvalidArgument(
                f"{what}() is an async generator, but workers run no event loop: make it a plain generator, 'def' "
                "instead of 'async def'; its caller can still use 'async for'."
            )
    return frozenset(name for name, function in functions.items() if inspect.isgeneratorfunction(function))


def _function_of(attribute: object) -> object:
    """What a call of this entry of a class dictionary runs in the end."""
    if not callable(attribute) and hasattr(attribute, "__wrapped__"):  # a descriptor that stands for a method
        attribute = attribute.__wrapped__
    while isinstance(attribute, (staticmethod, classmethod, functools.partialmethod)):
        attribute = attribute.func if isinstance(attribute, functools.partialmethod) else attribute.__func__
    return attribute


def function_name(function: Callable[..., object]) -> str:
    """A name for people: of the function itself, or of the one that a partial wraps."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.ismethod(function):
        owner = function.__self__ if inspect.isclass(function.__self__) else type(function.__self__)
        return f"{owner.__name__}.{function.__name__}"
    return str(getattr(function, "__name__", type(function).__name__))


def check_constructor(cls: type) -> None:
    """Raise ConstructorNeedsArguments when ``cls()`` cannot work: found here, not later in a worker."""
    if inspect.isabstract(cls):
        missing = ", ".join(sorted(getattr(cls, "__abstractmethods__", ())))
        raise ConstructorNeedsArguments(
            f"{cls.__name__} is abstract ({missing} has no body): pass a subclass that defines it."
        )
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (ValueError, TypeError):
        return  # some classes written in C tell no signature: the worker will find out
    needed = [
        each.name
        for each in parameters
        if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
    ]
    if needed:
        names = " and ".join(repr(each) for each in needed)
        shown = ", ".join("..." for _ in needed)
        raise ConstructorNeedsArguments(
            f"{cls.__name__}() needs {names}: pass an instance, rr.service({cls.__name__}({shown})), "
            f"or give {names} a default."
        )


def unknown_attribute(
    name: str, attribute: str, methods: Collection[str], *, cure: str = "Data of the object is read through a method."
) -> UnknownMethod:
    """The error for an attribute that a service does not have: what it has, and what was probably meant.

    methods: none = it is a function. cure: for those who meant no method.
    """
    if not methods:
        what = f"the service {name!r} has no attribute {attribute!r}"
        return UnknownMethod(f"{what}: it is a function, call it: {name}(...)")
    import difflib  # only in the error path: it takes 3 ms to import

    close = difflib.get_close_matches(attribute, methods, n=1)
    listed = ", ".join(list(methods)[:CLOSEST_LISTED]) + (", ..." if len(methods) > CLOSEST_LISTED else "")
    meant = f" Did you mean {close[0]!r}?" if close else ""
    return UnknownMethod(f"the service {name!r} has no public method {attribute!r}.{meant} It has: {listed}. {cure}")
