# SPDX-License-Identifier: Apache-2.0
"""Sessions and their calls in dictionaries: for engines that hold the calls of this process, and run them elsewhere."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone

from flamepy.core.application import Application
from flamepy.core.session import SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Call, SessionSpec
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import AlreadyExists, CallCancelled, InvalidArgument, InvalidState, NotFound


@dataclass
class HeldCall:
    """A call, and what becomes of it."""

    call: Call
    completion: Completion


@dataclass
class PlainSession:
    """A session, its calls by their ids, and the leases that it is open for. ended: forgotten calls, by state."""

    id: str
    spec: SessionSpec
    state: SessionState = SessionState.OPEN
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    closed: datetime | None = None
    leases: set[str] = field(default_factory=set)
    calls: dict[str, HeldCall] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    ended: Counter[TaskState] = field(default_factory=Counter)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def unfinished(self) -> list[HeldCall]:
        return [each for each in list(self.calls.values()) if not each.completion.is_done()]

    def mark_closed(self) -> None:
        """Idempotent."""
        if self.state is SessionState.OPEN:
            self.state, self.closed = SessionState.CLOSED, datetime.now(timezone.utc)

    def forget(self, task_id: str) -> None:
        """A call that has ended, and that nobody will ask for by name."""
        if task_id not in self.pinned and (held := self.calls.pop(task_id, None)) is not None:
            self.ended[held.completion.state] += 1

    def view(self) -> SessionView:
        counts = self.ended + Counter(each.completion.state for each in list(self.calls.values()))
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


class PlainSessions:
    """Implements ``engine.api.Sessions``. ``records`` is for the engine, and for tests that look.

    make: the completion of a call, by its session, its id and its name.
    """

    def __init__(self, make: Callable[[str, str, str], Completion] = Completion) -> None:
        self._make = make
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
        session.mark_closed()
        for each in session.unfinished():
            if cancel or each.completion.state is TaskState.PENDING:
                each.completion.complete(cancelled(each.completion.name, "its service was closed before it ran."))
        return session.view()

    def common_data(self, session_id: str) -> bytes | None:
        return self.record(session_id).spec.common_data

    def task(self, session_id: str, task_id: str) -> Task:
        return task_of(self.call(session_id, task_id))

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
        accepted = HeldCall(call, self._make(session_id, task_id, call.name or session_id))
        session.calls[task_id] = accepted
        return accepted


def task_of(held: HeldCall) -> Task:
    """The call as clients of plain sessions see it."""
    completion = held.completion
    outcome = completion.outcome
    output = None if outcome is None or outcome.value is None else bytes(outcome.value.payload().data)
    return Task(
        completion.task_id,
        completion.session_id,
        completion.state,
        _moment(completion.created_s),
        held.call.input,
        output,
    )


def cancelled(name: str, why: str) -> Outcome:
    """How a call ends that was cancelled."""
    message = f"{name} was cancelled: {why} Call it again if you want its result."
    return Outcome(TaskState.CANCELLED, error=CallCancelled(message))


def _moment(time_s: float) -> datetime:
    return datetime.fromtimestamp(time_s, timezone.utc)
