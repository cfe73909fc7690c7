# SPDX-License-Identifier: Apache-2.0
"""What the name of a service holds in the notebook: a handle that looks like what the cell defined, and calls remotely.

``handle.local`` is the original. All other public names are the user's methods.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flame_jupyter.service.record import ServiceRecord
from flame_jupyter.service.remote_handle import NoObject, TravelledClass, TravelledHandle
from flame_jupyter.wording import size_text
from flamepy.errors import InvalidArgument, InvalidState

if TYPE_CHECKING:
    from flamepy.runner import ObjectFuture

RESERVED_NAMES = ("local",)
# What a handle may take along of its original wherever it travels, as the argument of a call for example.
TRAVELLING_BYTES = 1_000_000


class ServiceRedefined(InvalidState):
    """A call through an old handle, after the cell that defines the service has run again with other code."""


class NotServed:
    """What the name of a service holds when its cell has run, and serving has failed. ``local`` is the original."""

    def __init__(self, variable: str, local: Any) -> None:
        self.local = local
        self._variable = variable

    def __call__(self, *_: Any, **__: Any) -> Any:
        raise self._error()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise self._error()

    def _error(self) -> InvalidState:
        return InvalidState(
            f"{self._variable} is no service: serving it failed when its cell ran. Mend what the cell said, and run it "
            f"again; {self._variable}.local is what it defines, and runs here."
        )

    def __repr__(self) -> str:
        return f"<{self._variable}: not served, because serving it failed when its cell ran>"


class ServiceHandle:
    """A service under the name that the cell gave it. Base of the three kinds, and the whole of an instance's."""

    local: Any

    def __init__(self, record: ServiceRecord) -> None:
        attributes: dict[str, Any] = {"_record": record, "local": record.local}
        attributes["__origin__"] = record.local  # help() is about that
        if record.kind != "instance":
            attributes["__wrapped__"] = record.local  # and so are signatures, and the source that ?? shows
            attributes["__call__"] = _Call(_signature_of(record.local), functools.partial(self._called, record))
        from flamepy.front_ends import described

        for name in methods_of(record.local):
            doc = getattr(getattr(record.local, name, None), "__doc__", None)
            attributes[name] = described(HandleMethod, doc)(record, name)
        self.__dict__.update(attributes)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._called(self._record, *args, **kwargs)

    @staticmethod
    def _called(record: ServiceRecord, /, *args: Any, **kwargs: Any) -> Any:
        result = record.called()(*args, **kwargs)
        record.after_call(result)
        return result

    def __getattr__(self, name: str) -> Any:
        record: ServiceRecord | None = self.__dict__.get("_record")
        if record is None or name.startswith("_"):
            raise AttributeError(name)
        from flamepy.front_ends import open_save_of, unknown_attribute

        if record.kind != "function":
            data = open_save_of(record.local if record.kind == "class" else type(record.local))
            if data is not None and name not in data:  # the object decides by its own __getattr__
                return HandleMethod(record, name)
        if hasattr(type(record.local) if record.kind == "instance" else record.local, name):
            cure = f"It stays here: read {record.variable}.local.{name}."
            raise unknown_attribute(record.name, name, methods_of(record.local), cure=cure)
        if record.kind == "instance":
            is_here = name in getattr(record.local, "__dict__", {})
            there = f"{record.variable}.local.{name}" if is_here else f"{record.variable}.local"
            cure = f"Data of the object is read through a method; what it was before it was served is {there}."
            raise unknown_attribute(record.name, name, methods_of(record.local), cure=cure)
        raise unknown_attribute(record.name, name, methods_of(record.local))

    def __dir__(self) -> list[str]:
        return ["local", *methods_of(self._record.local)]

    def __repr__(self) -> str:
        record = self._record
        session = f", session {record.session_id}" if record.session_id else ""
        return f"<flame service {record.variable}: {record.kind}{session}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel as the name of the session; inside the service's own code as the original, so that recursion works."""
        if self._record.is_opening():
            return typing.cast, (None, self.local)  # any worker has it, and it returns its second argument
        return self._travelling()

    def _travelling(self) -> tuple[Any, ...]:
        reduced = self._record.opened().__reduce__()
        assert isinstance(reduced, tuple)
        return reduced


class FunctionHandle(ServiceHandle):
    """A function: calling the handle calls it on a worker."""

    def _travelling(self) -> tuple[Any, ...]:
        return _with_original(TravelledHandle, self._record, super()._travelling())


class ClassHandle(ServiceHandle):
    """A class. Its methods are those of one object that is made at the first call; calling it makes another object."""

    def __init__(self, record: ServiceRecord) -> None:
        super().__init__(record)
        self.__dict__["__init__"] = record.local.__init__  # a subclass may call it by the name of its base

    def _travelling(self) -> tuple[Any, ...]:
        from flamepy.front_ends import ConstructorNeedsArguments

        try:
            found = super()._travelling()
        except ConstructorNeedsArguments as error:
            found = NoObject, (str(error),)
        return _with_original(TravelledClass, self._record, found)

    @staticmethod
    def _called(record: ServiceRecord, /, *args: Any, **kwargs: Any) -> Any:
        return record.open(record.local(*args, **kwargs))

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.local)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass.local if isinstance(subclass, ClassHandle) else subclass, self.local)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.local,)


def _with_original(kind: type[TravelledHandle], record: ServiceRecord, found: tuple[Any, ...]) -> tuple[Any, ...]:
    """How a handle travels together with its original."""
    find, found_by, *_ = found
    nbytes = sum(record.source.data.values())
    original: bytes | str = record.pickled() if nbytes <= TRAVELLING_BYTES else ""
    return kind, (find, found_by, original or _stays_text(record.variable, nbytes))


def _stays_text(variable: str, nbytes: int) -> str:
    return (
        f"{variable}.local stays in the notebook, because it takes {size_text(nbytes)} of data along: call the "
        "service, or give the data as an argument."
    )


class _Call:
    """``handle.__call__``: with the signature of the original, so that ``handle?`` shows no other one."""

    def __init__(self, signature: inspect.Signature | None, call: Callable[..., Any]) -> None:
        self.__signature__ = signature
        self.__doc__ = None
        self._call = call

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)


class HandleMethod:
    """One method, looked up at the call: the session may not be open yet."""

    def __init__(self, record: ServiceRecord, name: str) -> None:
        self._record = record
        self._name = name
        owner = record.local if inspect.isclass(record.local) else type(record.local)
        from flamepy.front_ends import signature_of_method

        self.__signature__ = signature_of_method(owner, name)
        self.__dict__["__call__"] = _Call(self.__signature__, functools.partial(_called_method, record, name))
        self.__origin__ = self.__wrapped__ = getattr(owner, name, None)  # what help() is about, and the source

    def __call__(self, /, *args: Any, **kwargs: Any) -> ObjectFuture:
        return _called_method(self._record, self._name, *args, **kwargs)

    def __repr__(self) -> str:
        return f"<remote method {self._record.name}.{self._name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._record.opened(), self._name)


def _signature_of(local: Any) -> inspect.Signature | None:
    try:
        return inspect.signature(local)
    except (TypeError, ValueError):  # such as of some builtins
        return None


def _called_method(record: ServiceRecord, name: str, /, *args: Any, **kwargs: Any) -> ObjectFuture:
    future: ObjectFuture = getattr(record.called(), name)(*args, **kwargs)
    record.after_call(future)
    return future


def handle_for(record: ServiceRecord) -> ServiceHandle:
    """The handle of the record's kind. Raises InvalidArgument for a method that would hide a name of the handle."""
    hidden = [name for name in RESERVED_NAMES if name in methods_of(record.local)]
    if hidden:
        raise InvalidArgument(
            f"{record.name}.{hidden[0]}() cannot be called through the service, because {record.variable}.{hidden[0]} "
            "is the original: rename the method."
        )
    from flamepy.front_ends import described

    kinds = {"function": FunctionHandle, "class": ClassHandle}
    handle: ServiceHandle = described(kinds.get(record.kind, ServiceHandle), record.local.__doc__)(record)
    return handle


def serial_of(value: object) -> int | None:
    """The serial number of the service whose handle a value is; None for every other value."""
    return record_of(value).serial if isinstance(value, ServiceHandle) else None


def record_of(handle: ServiceHandle) -> ServiceRecord:
    """What a handle stands for. A function, because the names on the handle belong to the user's methods."""
    record: ServiceRecord = handle._record  # noqa: SLF001 - it is this module's
    return record


def methods_of(local: Any) -> tuple[str, ...]:
    """Public methods that the service offers; none for a function."""
    from flamepy.front_ends import kind_of, public_methods

    kind = kind_of(local)
    if kind == "function":
        return ()
    return public_methods(local if kind == "class" else type(local))
