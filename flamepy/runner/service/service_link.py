# SPDX-License-Identifier: Apache-2.0
"""Where the calls of one service go: a call becomes bytes, goes to the engine, and a future comes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from flamepy.core.names import short_name
from flamepy.core.session import SessionState
from flamepy.engine.api import Call, Engine
from flamepy.engine.completion import Completion
from flamepy.errors import InvalidArgument, InvalidState, NotFound, RunnerClosed
from flamepy.runner.service.arguments import dependencies_of, encoded_call
from flamepy.runner.service.interface import Interface
from flamepy.runner.service.object_stream import ObjectStream, StreamLine
from flamepy.runner.service.signatures import Check, WrongArguments
from flamepy.runner.waiting.object_future import ObjectFuture, WarningsShown


@dataclass(frozen=True)
class ServiceView:
    """A snapshot of one service, for status displays. Made by ``Runner.services``.

    Attributes:
        name: For people.
        kind: ``function``, ``class`` or ``instance``.
        application: Whose package its workers have.
        session_id: Of its session.
        methods: What can be called besides the handle itself.
        is_closed: Does it take no calls any more?
    """

    name: str
    kind: str
    application: str
    session_id: str
    methods: tuple[str, ...]
    is_closed: bool


class ServiceLink:
    """Where the calls of one service go. Shared by its handle and its methods; closed once."""

    __slots__ = (
        "__weakref__", "_checks", "_warnings_shown", "application", "close_reason", "engine", "interface",
        "is_stateful", "lease", "original", "retries", "session_id", "stream_sessions",
    )  # fmt: skip

    def __init__(
        self,
        engine: Engine,
        application: str,
        session_id: str,
        interface: Interface,
        *,
        is_stateful: bool,
        retries: int = 0,
        checks: Mapping[str | None, Check] = MappingProxyType({}),
        original: Any = None,
        lease: str = "",
    ) -> None:
        """is_stateful: does one object take all calls, in order?

        checks: of the arguments of each method, where its signature is known. original: the function, or the class of
        the object, for help; None where it is not known. lease: of the Runner that has opened it, which closes its
        own part of a session that others have joined; "" = a handle that travelled, whose close is the end for all.
        """
        self.engine = engine
        self.application = application
        self.session_id = session_id
        self.interface = interface
        self.is_stateful = is_stateful
        self.retries = retries
        self.lease = lease
        self.close_reason = ""  # what the next call is told; "" = open
        self.stream_sessions: set[str] = set()  # of streams that have one of their own
        self._checks = checks
        self.original = original
        self._warnings_shown = WarningsShown()

    def call(self, method: str | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ObjectFuture:
        """Send one call. Raises RunnerClosed, WrongArguments, or NotPicklable with the name of the argument."""
        self.check_open(name)
        if method in self._checks:
            self._check_arguments(method, args, kwargs)
        found: list[object] = []
        request = encoded_call(method, name, args, kwargs, found)
        waits_for = dependencies_of(found, self.engine, name) if found else ()
        call = Call(request, dependencies=waits_for, name=name, retries=self.retries)
        completion = self.submit(self.session_id, call)
        if not found:
            return ObjectFuture(self.engine, completion, args, kwargs, warnings_shown=self._warnings_shown)
        futures = [each for each in found if isinstance(each, ObjectFuture)]
        return ObjectFuture(self.engine, completion, args, kwargs, futures, self._warnings_shown)

    def stream(self, method: str | None, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ObjectStream:
        """Begin a generator. Raises what ``call`` raises."""
        self.check_open(name)
        if method in self._checks:
            self._check_arguments(method, args, kwargs)
        found: list[object] = []
        stream_id = short_name("stream")
        request = encoded_call(method, name, args, kwargs, found, stream_id=stream_id)
        first = Call(request, dependencies=dependencies_of(found, self.engine, name), name=name)
        line = StreamLine(self, self._session_for_stream(), stream_id, first, self._warnings_shown)
        return ObjectStream(line, args, kwargs)

    def _check_arguments(self, method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Raises WrongArguments, in the words of Python."""
        try:
            self._checks[method](*args, **kwargs)
        except TypeError as error:
            raise WrongArguments(str(error)) from None

    def _session_for_stream(self) -> str:
        """The object that keeps state keeps its generators too; any other gets a worker for as long as one runs."""
        if self.is_stateful:
            return self.session_id
        session_id = short_name(self.application)
        try:
            self.engine.sessions.create_like(self.session_id, session_id)
        except (NotFound, InvalidState) as error:
            if isinstance(error, NotFound) or not self._is_open(self.session_id):
                raise RunnerClosed(_closed_elsewhere(self.interface.name, self.session_id)) from error
            raise
        self.stream_sessions.add(session_id)
        return session_id

    def submit(self, session_id: str, call: Call) -> Completion:
        """Hand a call of this service to the engine. Raises RunnerClosed."""
        try:
            return self.engine.submit(session_id, call)
        except (NotFound, InvalidArgument) as error:
            if self._is_open(session_id):  # then it is about an argument, such as a reference to an object that is gone
                raise
            raise RunnerClosed(_closed_elsewhere(call.name, session_id)) from error

    def _is_open(self, session_id: str) -> bool:
        """Another handle, or another process, may have closed the session."""
        try:
            return self.engine.sessions.get(session_id).state is SessionState.OPEN
        except NotFound:
            return False

    def check_open(self, name: str) -> None:
        """Raises RunnerClosed."""
        if self.close_reason:
            raise RunnerClosed(f"cannot call {name}: {self.close_reason}")

    def leases(self) -> dict[str, str]:
        """Its session, and those of streams that are going on, each with the lease to close it for."""
        return {self.session_id: self.lease, **dict.fromkeys(list(self.stream_sessions), "")}

    def view(self) -> ServiceView:
        shape = self.interface
        return ServiceView(
            shape.name, shape.kind, self.application, self.session_id, tuple(shape.methods), bool(self.close_reason)
        )

    def refuse(self, reason: str) -> None:
        """Turn new calls away with this reason; a reason given before stays."""
        self.close_reason = self.close_reason or reason


def _closed_elsewhere(name: str, session_id: str) -> str:
    return f"cannot call {name}: its session {session_id} was closed. Create the service again."
