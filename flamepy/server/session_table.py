# SPDX-License-Identifier: Apache-2.0
"""The sessions of the server and their tasks: what may follow on what, as on a cluster that keeps them in files.

What is refused is said in the words of a cluster's session manager, which clients look into.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import Event, SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.errors import AlreadyExists, FlameError, FlameErrorCode, InvalidArgument, NotFound
from flamepy.wire import messages, sessions

DEFAULT_NEEDS = ResourceRequirement(cpu=1, memory=1 << 30)  # of a worker, when neither client nor cluster say anything
BIND_LIMIT = 5  # failed attempts in a row to start a worker for a session; then none is made any more
BIND_FAILED, BIND_GIVEN_UP = 1001, 1002  # codes of events of a session
_COMPARED = ("application", "resreq", "min_instances", "max_instances", "priority", "batch_size")


class Watchers(Protocol):
    """Who has to hear of changes."""

    def changed(self, task: Task) -> None:
        """A task has another state."""

    def removed(self, session_id: str) -> None:
        """A session, and its tasks, are no more."""


@dataclass
class SessionRecord:
    """number: in the order of creation. pending: ids of tasks, in the order in which they start."""

    id: str
    number: int
    generation: int  # of its application
    spec: messages.SessionSpec
    created: datetime
    state: SessionState = SessionState.OPEN
    completed: datetime | None = None
    tasks: dict[int, Task] = field(default_factory=dict)
    pending: deque[int] = field(default_factory=deque)
    counts: dict[TaskState, int] = field(default_factory=lambda: dict.fromkeys(TaskState, 0))
    events: list[Event] = field(default_factory=list)
    bind_failures: int = 0  # since a worker has started last

    @property
    def application(self) -> str:
        return self.spec.application

    @property
    def max_instances(self) -> int | None:
        return self.spec.max_instances if self.spec.HasField("max_instances") else None

    def is_given_up(self) -> bool:
        """Have so many attempts to start a worker failed that none is made any more?"""
        return self.bind_failures >= BIND_LIMIT

    def view(self, *, with_events: bool) -> SessionView:
        return SessionView(
            self.id,
            self.application,
            self.state,
            self.created,
            self.completed,
            pending=self.counts[TaskState.PENDING],
            running=self.counts[TaskState.RUNNING],
            succeed=self.counts[TaskState.SUCCEED],
            failed=self.counts[TaskState.FAILED],
            cancelled=self.counts[TaskState.CANCELLED],
            events=tuple(self.events) if with_events else (),
        )


class SessionTable:
    """now: the clock. generation_of: of the application of that name; raises NotFound when there is none."""

    def __init__(self, now: Callable[[], datetime], generation_of: Callable[[str], int], watchers: Watchers) -> None:
        self._now = now
        self._generation_of = generation_of
        self._watchers = watchers
        self._numbers = itertools.count(1)
        self._sessions: dict[str, SessionRecord] = {}
        self._in_need: dict[str, SessionRecord] = {}  # open ones that have pending tasks or want workers without

    # --- sessions ---

    def create(self, session_id: str, spec: messages.SessionSpec | None) -> SessionRecord:
        """Raises InvalidArgument, NotFound, AlreadyExists."""
        wanted = _normalized(spec)
        generation = self._generation_of(wanted.application)
        if session_id in self._sessions:
            raise AlreadyExists(f"Session '{session_id}' already exists: use another id, or open it.")
        record = SessionRecord(session_id, next(self._numbers), generation, wanted, self._now())
        self._sessions[session_id] = record
        self._note_need(record)
        return record

    def open(self, session_id: str, spec: messages.SessionSpec | None) -> SessionRecord:
        """The session of that id; a new one when there is none and ``spec`` is given.

        Raises InvalidArgument (closed, or with another specification), NotFound.
        """
        wanted = None if spec is None else _normalized(spec)
        record = self._sessions.get(session_id)
        if record is None:
            if wanted is None:
                raise NotFound(f"Session {session_id} not found: open it with a specification to create it.")
            return self.create(session_id, wanted)
        if record.state is SessionState.CLOSED:
            raise InvalidArgument(f"Session {session_id} is not open: use another id.")
        if wanted is not None:
            _check_same(session_id, record.spec, wanted)
        return record

    def get(self, session_id: str) -> SessionRecord:
        """Raises NotFound, with nothing but the id, as a cluster does."""
        record = self._sessions.get(session_id)
        if record is None:
            raise NotFound(session_id)
        return record

    def all(self) -> list[SessionRecord]:
        return list(self._sessions.values())

    def close(self, session_id: str) -> SessionRecord:
        """No task starts any more. Raises NotFound, FlameError while one runs."""
        record = self._known(session_id)
        if record.counts[TaskState.RUNNING]:
            raise FlameError(FlameErrorCode.INTERNAL, "Cannot close session with running tasks")
        record.state, record.completed = SessionState.CLOSED, self._now()
        while record.pending:
            self._move(record, record.pending.popleft(), TaskState.CANCELLED, completion_time=record.completed)
        self._note_need(record)
        return record

    def delete(self, session_id: str) -> SessionRecord:
        """Raises NotFound, FlameError while it is open."""
        record = self._known(session_id)
        if record.state is SessionState.OPEN:
            raise FlameError(FlameErrorCode.INTERNAL, "Cannot delete open session")
        self._remove(record)
        return record

    def remove_of(self, application: str) -> None:
        """The application is gone, and its sessions go with it."""
        for record in self.all():
            if record.application == application:
                self._remove(record)

    def has_open(self, application: str) -> bool:
        return any(
            each.application == application and each.state is SessionState.OPEN for each in self._sessions.values()
        )

    def is_current(self, record: SessionRecord) -> bool:
        """Is it open, and still the one of its id?"""
        return record.state is SessionState.OPEN and self._sessions.get(record.id) is record

    def in_need(self) -> Iterator[SessionRecord]:
        """Open sessions that have pending tasks, or want workers also without."""
        return iter(list(self._in_need.values()))

    def bind_failed(self, record: SessionRecord, executor_id: str, node: str, code: int, detail: str) -> None:
        """An executor could not start a worker for it. The count goes to BIND_LIMIT."""
        record.bind_failures += 1
        words = f"Executor {executor_id} on node {node} failed to bind session with return_code {code}: {detail}"
        record.events.append(Event(BIND_FAILED, words, self._now()))
        if record.is_given_up():
            words = (
                f"Session retry limit reached after {record.bind_failures}/{BIND_LIMIT} failed attempts; "
                "no worker is started for it any more. Open a new session when the cause is mended."
            )
            record.events.append(Event(BIND_GIVEN_UP, words, self._now()))

    # --- tasks ---

    def create_task(self, spec: messages.TaskSpec | None) -> Task:
        """Raises InvalidArgument, NotFound."""
        if spec is None:
            raise InvalidArgument("session spec")  # as a cluster says
        record = self._sessions.get(spec.session_id)
        if record is None:
            raise NotFound(f"Session {spec.session_id} not found: create it first.")
        if record.state is SessionState.CLOSED:
            raise InvalidArgument("Cannot create task in closed session")
        number = len(record.tasks) + 1
        created = self._now()
        task = Task(
            str(number),
            record.id,
            TaskState.PENDING,
            created,
            input=spec.input or None,  # a file of no length is none
            events=(Event(TaskState.PENDING, "Task was created with state <Pending>", created),),
        )
        record.tasks[number] = task
        record.pending.append(number)
        record.counts[TaskState.PENDING] += 1
        self._note_need(record)
        return task

    def task(self, session_id: str, task_id: str) -> Task:
        """Raises InvalidArgument, NotFound."""
        if not (task_id.isascii() and task_id.removeprefix("-").isdecimal()):
            raise InvalidArgument("invalid task id")
        task = self.get(session_id).tasks.get(int(task_id))
        if task is None:
            raise NotFound(task_id)
        return task

    def tasks(self, session_id: str) -> list[Task]:
        """Raises NotFound."""
        return list(self.get(session_id).tasks.values())

    def start_next(self, record: SessionRecord) -> Task | None:
        """The pending task of the lowest id, which runs from now on; None when there is none."""
        if not record.pending:
            return None
        number = record.pending.popleft()
        event = Event(TaskState.RUNNING, "Task state was updated to <Running>", self._now())
        self._move(record, number, TaskState.RUNNING, event)
        self._note_need(record)
        return record.tasks[number]

    def end_task(
        self, record: SessionRecord, task_id: str, state: TaskState, *, output: bytes | None, message: str | None
    ) -> None:
        """A running task has ended. message: what went wrong."""
        words = "Task was completed with state <Succeed>"
        if state is TaskState.FAILED:
            words = "Task failed with state <Failed>" if message is None else message
        now = self._now()
        self._move(record, int(task_id), state, Event(state, words, now), output=output or None, completion_time=now)

    def _move(
        self,
        record: SessionRecord,
        number: int,
        state: TaskState,
        event: Event | None = None,
        *,
        output: bytes | None = None,
        completion_time: datetime | None = None,
    ) -> None:
        task = record.tasks[number]
        record.counts[task.state] -= 1
        record.counts[state] += 1
        events = task.events if event is None else (*task.events, event)
        moved = replace(task, state=state, events=events, output=output, completion_time=completion_time)
        record.tasks[number] = moved
        self._watchers.changed(moved)

    def _known(self, session_id: str) -> SessionRecord:
        record = self._sessions.get(session_id)
        if record is None:
            raise NotFound(f"session <{session_id}>")
        return record

    def _remove(self, record: SessionRecord) -> None:
        del self._sessions[record.id]
        self._in_need.pop(record.id, None)
        self._watchers.removed(record.id)

    def _note_need(self, record: SessionRecord) -> None:
        if record.state is SessionState.OPEN and (record.pending or record.spec.min_instances):
            self._in_need[record.id] = record
        else:
            self._in_need.pop(record.id, None)


def _normalized(spec: messages.SessionSpec | None) -> messages.SessionSpec:
    """As a server stores it, defaults filled in. Raises InvalidArgument."""
    if spec is None:
        raise InvalidArgument("session spec")  # as a cluster says
    stored = messages.SessionSpec()
    stored.CopyFrom(spec)
    stored.batch_size = max(1, spec.batch_size)
    if not spec.HasField("resreq"):
        stored.resreq.CopyFrom(sessions.resources(DEFAULT_NEEDS))
    if not spec.common_data:  # a file of no length is none
        stored.ClearField("common_data")
    batch = stored.batch_size
    if spec.min_instances % batch:
        raise InvalidArgument(f"min_instances ({spec.min_instances}) must be 0 or a multiple of batch_size ({batch})")
    if spec.max_instances % batch:
        raise InvalidArgument(f"max_instances ({spec.max_instances}) must be a multiple of batch_size ({batch})")
    return stored


def _check_same(session_id: str, stored: messages.SessionSpec, wanted: messages.SessionSpec) -> None:
    """Raises InvalidArgument."""
    for name in _COMPARED:
        expected, got = _told(stored, name), _told(wanted, name)
        if expected != got:
            raise InvalidArgument(
                f"session <{session_id}> spec mismatch: {name} differs (expected {expected}, got {got})"
            )


def _told(spec: messages.SessionSpec, name: str) -> object:
    if name == "resreq":
        return sessions.requirement_of(spec.resreq)
    if name == "max_instances" and not spec.HasField(name):
        return None
    return getattr(spec, name)
