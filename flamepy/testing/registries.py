# SPDX-License-Identifier: Apache-2.0
"""Applications and sessions in dictionaries: what the engines of this package share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timezone

from flamepy.core.application import Application, ApplicationAttributes, ApplicationState
from flamepy.core.names import checked_application_name
from flamepy.core.session import SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Call, SessionSpec
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import AlreadyExists, CallCancelled, InvalidArgument, InvalidState, NotFound

_TEMPLATE = ApplicationAttributes(description="Runs Python functions and objects for a Runner.")


@dataclass
class HeldCall:
    """A call, and what becomes of it."""

    call: Call
    completion: Completion


@dataclass
class PlainSession:
    """A session, its calls by their ids, and the leases that it is open for."""

    id: str
    spec: SessionSpec
    state: SessionState = SessionState.OPEN
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    closed: datetime | None = None
    leases: set[str] = field(default_factory=set)
    calls: dict[str, HeldCall] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def unfinished(self) -> list[HeldCall]:
        return [each for each in list(self.calls.values()) if not each.completion.is_done()]

    def view(self) -> SessionView:
        counts = dict.fromkeys(TaskState, 0)
        for each in list(self.calls.values()):
            counts[each.completion.state] += 1
        return SessionView(
            self.id,
            self.spec.application,
            self.state,
            self.created,
            self.closed,
            pending=counts[TaskState.PENDING],
            running=counts[TaskState.RUNNING],
            succeed=counts[TaskState.SUCCEED],
            failed=counts[TaskState.FAILED],
            cancelled=counts[TaskState.CANCELLED],
            name=self.spec.name,
            handle=self.spec.handle,
        )


class PlainApplications:
    """Implements ``engine.api.Applications``. sessions: those of the engine; forget: drops the objects of one."""

    def __init__(self, sessions: PlainSessions, forget: Callable[[str], object]) -> None:
        self._sessions = sessions
        self._forget = forget
        self._registered: dict[str, Application] = {"flmrun": _application("flmrun", _TEMPLATE)}
        self._leases: dict[str, str] = {}
        self._by_lease: set[str] = set()
        sessions.applications = self._registered

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        if checked_application_name(name) in self._registered:
            raise AlreadyExists(f"application {name!r} already exists: use another name, or unregister it first.")
        self._registered[name] = _application(name, attributes)
        return self._registered[name]

    def unregister(self, name: str) -> None:
        self._get(name)
        mine = [each for each in self._sessions.records.values() if each.spec.application == name]
        if any(each.state is SessionState.OPEN for each in mine):
            raise InvalidState(f"application {name!r} has open sessions: close them first.")
        for each in mine:
            del self._sessions.records[each.id]
        del self._registered[name]

    def lease(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        if attributes is not None and (must_be_new or name not in self._registered):
            application = self.register(name, attributes)
            self._by_lease.add(name)
        else:
            application = self._get(name)
        self._leases[lease_id] = name
        return application

    def end_lease(self, lease_id: str) -> bool:
        name = self._leases.pop(lease_id, None)
        if name is None:
            return False
        for session in list(self._sessions.records.values()):
            if lease_id in session.leases:
                self._sessions.close(session.id, cancel=True, lease=lease_id)
        if name not in self._by_lease or name in self._leases.values():
            return False
        self._by_lease.discard(name)
        self.unregister(name)
        self._forget(f"{name}/*")
        return True

    def get(self, name: str) -> Application | None:
        return self._registered.get(name)

    def list(self) -> Sequence[Application]:
        return list(self._registered.values())

    def _get(self, name: str) -> Application:
        if name not in self._registered:
            raise NotFound(f"application {name!r} not found: register it, or open a Runner({name!r}).")
        return self._registered[name]


class PlainSessions:
    """Implements ``engine.api.Sessions``. ``records`` is for the engine, and for tests that look."""

    def __init__(self) -> None:
        self.records: dict[str, PlainSession] = {}
        self.applications: dict[str, Application] = {}

    def create(self, session_id: str, spec: SessionSpec) -> SessionView:
        if spec.application not in self.applications:
            raise NotFound(f"application {spec.application!r} not found: register it first.")
        if session_id in self.records:
            raise AlreadyExists(f"session {session_id!r} already exists: use another id, or open_session to join it.")
        leases = {spec.lease} if spec.lease else set()
        self.records[session_id] = PlainSession(session_id, spec, leases=leases)
        return self.records[session_id].view()

    def create_like(self, session_id: str, new_id: str) -> SessionView:
        like = self.record(session_id)
        if like.state is SessionState.CLOSED:
            raise InvalidState(f"session {session_id!r} is not open any more: create the service again.")
        return self.create(
            new_id,
            replace(like.spec, is_stateful=True, max_instances=1, warmup=0, name="", handle=b"", lease=""),
        )

    def open(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        existing = self.records.get(session_id)
        if existing is None:
            if spec is None:
                raise NotFound(f"session {session_id!r} not found: open it with its attributes to create it.")
            return self.create(session_id, spec)
        if existing.state is SessionState.CLOSED:
            raise InvalidArgument(f"session {session_id!r} is not open any more: use another id.")
        for each in ("application", "resreq", "min_instances", "max_instances"):
            if spec is not None and getattr(spec, each) != getattr(existing.spec, each):
                raise InvalidArgument(
                    f"session {session_id!r} spec mismatch: {each} differs. Use the same values to join it, or "
                    "another id."
                )
        if spec is not None and spec.lease:
            existing.leases.add(spec.lease)
        return existing.view()

    def get(self, session_id: str) -> SessionView:
        return self.record(session_id).view()

    def list(self) -> Sequence[SessionView]:
        return [each.view() for each in list(self.records.values())]

    def close(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        session = self.record(session_id)
        session.leases.discard(lease)
        if lease and session.leases:
            return session.view()
        if session.state is SessionState.OPEN:
            session.state, session.closed = SessionState.CLOSED, datetime.now(timezone.utc)
        for each in session.unfinished():
            if cancel or each.completion.state is TaskState.PENDING:
                each.completion.complete(cancelled(each.completion.name, "its service was closed before it ran."))
        return session.view()

    def common_data(self, session_id: str) -> bytes | None:
        return self.record(session_id).spec.common_data

    def task(self, session_id: str, task_id: str) -> Task:
        each = self.call(session_id, task_id)
        outcome = each.completion.outcome
        output = None if outcome is None or outcome.value is None else bytes(outcome.value.payload().data)
        return Task(
            task_id, session_id, each.completion.state, _moment(each.completion.created_s), each.call.input, output
        )

    def tasks(self, session_id: str) -> Sequence[Task]:
        return [self.task(session_id, task_id) for task_id in list(self.record(session_id).calls)]

    def record(self, session_id: str) -> PlainSession:
        """Raises NotFound."""
        session = self.records.get(session_id)
        if session is None:
            raise NotFound(f"session {session_id!r} not found: it was never opened, or its application is gone.")
        return session

    def call(self, session_id: str, task_id: str) -> HeldCall:
        """Raises NotFound."""
        found = self.record(session_id).calls.get(task_id)
        if found is None:
            raise NotFound(f"task {task_id!r} of session {session_id!r} not found: list_tasks() shows those there are.")
        return found

    def accept(self, session_id: str, call: Call) -> HeldCall:
        """A new call. Raises NotFound, InvalidArgument."""
        session = self.record(session_id)
        if session.state is SessionState.CLOSED:
            raise InvalidArgument(f"session {session_id!r} is not open any more: create the service again.")
        task_id = str(next(session.numbers))
        accepted = HeldCall(call, Completion(session_id, task_id, call.name or session_id))
        session.calls[task_id] = accepted
        return accepted


def cancelled(name: str, why: str) -> Outcome:
    """How a call ends that was cancelled."""
    message = f"{name} was cancelled: {why} Call it again if you want its result."
    return Outcome(TaskState.CANCELLED, error=CallCancelled(message))


def _application(name: str, attributes: ApplicationAttributes) -> Application:
    given = {f.name: getattr(attributes, f.name) for f in fields(attributes) if getattr(attributes, f.name) is not None}
    return Application(
        id=name, name=name, state=ApplicationState.ENABLED, creation_time=datetime.now(timezone.utc), **given
    )


def _moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, timezone.utc)
