# SPDX-License-Identifier: Apache-2.0
"""What the name of a service holds in the notebook: a handle that looks like what the cell defined, and calls remotely.

``handle.local`` is the original. All other public names are the user's methods.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
import typing
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flamepy.errors import FlameError, InvalidArgument, InvalidState

if TYPE_CHECKING:
    from flame_jupyter.arguments import ServiceLine
    from flame_jupyter.madeof import MadeOf
    from flamepy import Session
    from flamepy.runner import ObjectFuture, Runner, RunnerService

RESERVED_NAMES = ("local",)


class ServiceRedefined(InvalidState):
    """A call through an old handle, after the cell that defines the service has run again with other code."""


@dataclass
class ServiceRecord:
    """What the notebook knows about one service that a cell defined.

    line: what its cell asked for; variable: where its handle is bound; name: for people; source: what it was made of;
    open_object: starts a session for a function, class or instance; before_call: is told of each call; refusal: what
    every new call raises, None while the service may be used; modules: the Python files that its session runs with, by
    path; serial: tells this service from all others of its name.
    """

    line: ServiceLine
    variable: str
    name: str
    local: Any
    source: MadeOf
    runner: Runner
    open_object: Callable[[Any], RunnerService]
    before_call: Callable[[ServiceRecord], None] = lambda _: None
    handle: Any = None
    service: RunnerService | None = None
    refusal: FlameError | None = None
    modules: dict[str, bytes] = field(default_factory=dict)
    serial: int = field(default_factory=itertools.count(1).__next__)
    is_told_of_drift: bool = False
    looked_at_s: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _opening_thread: int = 0

    @property
    def kind(self) -> str:
        """function, class or instance"""
        from flamepy.runner.types import kind_of

        return kind_of(self.local)

    @property
    def session_id(self) -> str:
        """The session of the service itself; "" before it is opened."""
        from flamepy.runner import view_of

        return "" if self.service is None else view_of(self.service).session_id

    def changed_modules(self, drift: Sequence[str] | None = None) -> list[str]:
        """Python files that are not what the session runs with; data files are read anew by every new service.

        drift: of its Runner, where that is known.
        """
        if self.service is None:
            return []
        drift = self.runner.drift() if drift is None else drift
        now = modules_of(self.runner)
        changed = {path for path in now.keys() | self.modules.keys() if now.get(path) != self.modules.get(path)}
        return sorted(changed.union(path for path in drift if _is_module(path)))

    def session(self) -> Session | None:
        """Its session as it is now; None before it is opened and after its Runner has closed."""
        from flamepy import NotFound, get_session

        try:
            return get_session(self.session_id) if self.session_id else None
        except NotFound:
            return None

    def unfinished_calls(self) -> int:
        session = self.session()
        return 0 if session is None else session.pending + session.running

    def opened(self) -> RunnerService:
        """The session of the service itself, opened now if need be. Raises the refusal."""
        if self.refusal is not None:
            raise type(self.refusal)(*self.refusal.args)
        if self.service is None:
            with self._lock:
                if self.service is None:
                    self.service = self._opened_now()
                    self.modules = modules_of(self.runner)
        return self.service

    def called(self) -> RunnerService:
        """The same, for a call."""
        service = self.opened()
        self.before_call(self)
        return service

    def _opened_now(self) -> RunnerService:
        from flamepy.runner import ConstructorNeedsArguments

        try:
            return self.open(self.local)
        except ConstructorNeedsArguments as error:
            needed = needed_arguments(self.local)
            if self.kind != "class" or not needed:
                raise
            names, shown = " and ".join(map(repr, needed)), ", ".join("..." for _ in needed)
            raise ConstructorNeedsArguments(
                f"{self.variable}() needs {names}. Call {self.variable}({shown}) first and use the service that it "
                f"returns, or give {names} a default."
            ) from error

    def open(self, execution_object: Any) -> RunnerService:
        """A session of its own for ``execution_object``. Where its code names the service, it means the original."""
        if self.refusal is not None:
            raise type(self.refusal)(*self.refusal.args)
        with self._lock:
            before, self._opening_thread = self._opening_thread, threading.get_ident()
            try:
                return self.open_object(execution_object)
            finally:
                self._opening_thread = before

    def is_opening(self) -> bool:
        """Is this thread pickling the definition of this very service?"""
        return self._opening_thread == threading.get_ident()


class ServiceHandle:
    """A service under the name that the cell gave it. Base of the three kinds, and the whole of an instance's."""

    local: Any

    def __init__(self, record: ServiceRecord) -> None:
        attributes: dict[str, Any] = {"_record": record, "local": record.local, "__doc__": record.local.__doc__}
        if record.kind != "instance":
            attributes["__wrapped__"] = record.local  # so that help and signatures show the original
        for name in methods_of(record.local):
            attributes[name] = HandleMethod(record, name)
        self.__dict__.update(attributes)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._record.called()(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        record: ServiceRecord | None = self.__dict__.get("_record")
        if record is None or name.startswith("_"):
            raise AttributeError(name)
        if hasattr(type(record.local) if record.kind == "instance" else record.local, name):
            cure = f"it stays here: read {record.variable}.local.{name}."
        else:
            names = methods_of(record.local)
            cure = f"it has {', '.join(names)}." if names else f"it is a function, call it: {record.variable}(...)."
        raise AttributeError(f"the service {record.name!r} has no public method {name!r}; {cure}", name=name, obj=self)

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
        reduced = self._record.opened().__reduce__()
        assert isinstance(reduced, tuple)
        return reduced


class FunctionHandle(ServiceHandle):
    """A function: calling the handle calls it on a worker."""


class ClassHandle(ServiceHandle):
    """A class. Its methods are those of one object that is made at the first call; calling it makes another object."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._record.open(self.local(*args, **kwargs))

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.local)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(subclass.local if isinstance(subclass, ClassHandle) else subclass, self.local)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.local,)


class HandleMethod:
    """One method, looked up at the call: the session may not be open yet."""

    def __init__(self, record: ServiceRecord, name: str) -> None:
        self._record = record
        self._name = name
        owner = record.local if inspect.isclass(record.local) else type(record.local)
        self.__doc__ = getattr(inspect.getattr_static(owner, name), "__doc__", None)
        self.__signature__ = _signature(owner, name)

    def __call__(self, *args: Any, **kwargs: Any) -> ObjectFuture:
        future: ObjectFuture = getattr(self._record.called(), self._name)(*args, **kwargs)
        return future

    def __repr__(self) -> str:
        return f"<remote method {self._record.name}.{self._name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._record.opened(), self._name)


def handle_for(record: ServiceRecord) -> ServiceHandle:
    """The handle of the record's kind. Raises InvalidArgument for a method that would hide a name of the handle."""
    hidden = [name for name in RESERVED_NAMES if name in methods_of(record.local)]
    if hidden:
        raise InvalidArgument(
            f"{record.name}.{hidden[0]}() cannot be called through the service, because {record.variable}.{hidden[0]} "
            "is the original: rename the method."
        )
    kinds = {"function": FunctionHandle, "class": ClassHandle}
    return kinds.get(record.kind, ServiceHandle)(record)


def modules_of(runner: Runner) -> dict[str, bytes]:
    """The Python files of the Runner's package and what identifies their content."""
    package = runner.package
    return {} if package is None else {path: each for path, each in package.identities.items() if _is_module(path)}


def _is_module(path: str) -> bool:
    return path.endswith(".py")


def methods_of(local: Any) -> tuple[str, ...]:
    """Public methods that the service offers; none for a function."""
    from flamepy.runner.methods import public_methods
    from flamepy.runner.types import kind_of

    kind = kind_of(local)
    if kind == "function":
        return ()
    return public_methods(local if kind == "class" else type(local))


def needed_arguments(cls: type) -> list[str]:
    """The parameters of the constructor that have no default."""
    try:
        parameters = inspect.signature(cls).parameters.values()
    except (TypeError, ValueError):  # some classes written in C tell no signature
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [each.name for each in parameters if each.default is each.empty and each.kind not in optional]


def _signature(owner: type, name: str) -> inspect.Signature | None:
    """The signature as the caller sees it, without ``self``."""
    attribute = inspect.getattr_static(owner, name)
    try:
        if isinstance(attribute, (staticmethod, classmethod)):
            return inspect.signature(getattr(owner, name))
        return inspect.signature(functools.partial(attribute, None))
    except (TypeError, ValueError):
        return None
