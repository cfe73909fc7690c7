# SPDX-License-Identifier: Apache-2.0
"""What the engine's thread knows about sessions, calls and workers. Only that thread writes these records."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING, NamedTuple, cast

from flamepy.cache.blob import Blob
from flamepy.clock import monotonic_s
from flamepy.codec.pickling import decode
from flamepy.core.durations import expected_after
from flamepy.core.session import Event, SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import SessionSpec, WorkerView
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.completion import LocalCompletion
from flamepy.errors import FlameError
from flamepy.protocol.commands import ImportPath
from flamepy.protocol.failure import Failure

if TYPE_CHECKING:
    from flamepy.engine.local.link.worker_link import WorkerLink

_REASON_CHARS = 1000  # of the error that a task has ended with: a session remembers a thousand of them
HISTORY_TASKS = 1000  # ended tasks that a session still lists; a notebook makes millions


class CallRecord:
    """One call between submit and its outcome.

    unresolved: arguments that are not there yet. dependencies: once all are there, the values stand in the places of
    their completions.
    """

    __slots__ = (
        "attempt", "carried_definition", "completion", "dependencies", "expected_s", "input", "is_cancel_asked",
        "is_rescued", "number", "request", "retries", "session", "unresolved", "worker",
    )  # fmt: skip

    def __init__(
        self,
        completion: LocalCompletion,
        session: SessionRecord,
        request: Blob,
        dependencies: list[LocalCompletion | Blob],
        retries: int,
        task_input: bytes | None,
    ) -> None:
        self.number = 0  # of its last sending to a worker; each sending has one of its own, and later ones are higher
        self.completion = completion
        self.session = session
        self.request = request
        self.dependencies = dependencies
        self.retries = retries
        self.input = task_input
        self.attempt = 0
        self.unresolved = 0
        self.worker: WorkerRecord | None = None
        self.carried_definition = False
        self.expected_s: float | None = None  # as known when it was sent
        self.is_cancel_asked = False
        self.is_rescued = False  # has it been lost in a fault of the engine, and put into its queue again?

    def plain_request(self) -> bytes | None:
        """The request, when the call is nothing else: such calls share a packet."""
        return None if self.dependencies else self.request.plain_bytes()

    def is_at_front(self) -> bool:
        """A guess, from any thread: is it a call on an object that has nothing else to do?"""
        session = self.session
        return session.spec.is_stateful and (session.worker is None or not session.worker.in_flight)

    def blobs(self) -> list[Blob]:
        """The encoded arguments that the call takes from other calls and from the cache; all are there by now."""
        return cast("list[Blob]", self.dependencies)


class SessionRecord:
    """One service. ``waiting`` holds calls that no worker has yet: for a stateful session in their order."""

    def __init__(
        self,
        number: int,
        session_id: str,
        spec: SessionSpec,
        installed: Installed,
        definition: Blob,
        import_path: ImportPath,
    ) -> None:
        self.number = number
        self.id = session_id
        self.spec = spec
        self.leases = {spec.lease} if spec.lease else set()  # of the Runner that opened it, and of those that joined it
        self.installed = installed
        self.definition: Blob | None = definition  # None once it is closed and its calls have ended
        self.import_path = import_path
        self.state = SessionState.OPEN
        self.created_s = time.time()
        self.completed_s = 0.0
        self.task_numbers = itertools.count(1)  # next() on a count is atomic
        self.waiting: deque[CallRecord] = deque()
        self.live: dict[str, CallRecord] = {}
        self.kept: dict[str, tuple[Completion, bytes | None]] = {}  # asked for by name later: plain tasks, handles
        self.history: deque[Ended] = deque(maxlen=HISTORY_TASKS)
        self.ended = [0] * len(TaskState)  # calls, by how they ended
        self.is_ready = False  # is it in the loop's round of sessions with waiting calls?
        self.expected_s: float | None = None  # None until the first call has ended
        # of a stateful session
        self.worker: WorkerRecord | None = None
        self.checkpoint: Blob | None = None
        self.unsaved_reason = ""
        self.state_lost_reason = ""

    def learn_duration(self, duration_s: float) -> None:
        self.expected_s = expected_after(self.expected_s, duration_s)

    def running_count(self) -> int:
        return sum(1 for record in list(self.live.values()) if record.completion.state is TaskState.RUNNING)

    def view(self) -> SessionView:
        running = self.running_count()
        return SessionView(
            id=self.id,
            application=self.spec.application,
            state=self.state,
            creation_time=moment(self.created_s),
            completion_time=moment(self.completed_s) if self.completed_s else None,
            pending=len(self.live) - running,
            running=running,
            succeed=self.ended[TaskState.SUCCEED],
            failed=self.ended[TaskState.FAILED],
            cancelled=self.ended[TaskState.CANCELLED],
            name=self.spec.name,
            handle=self.spec.handle,
        )


class WorkerRecord:
    """One worker process. ``in_flight``: calls sent to it, oldest first; the first is the one that runs."""

    def __init__(
        self, worker_id: int, slot: int, installed: Installed, link: WorkerLink, session: SessionRecord | None
    ) -> None:
        self.id = worker_id
        self.slot = slot
        self.pid = 0  # known when the zygote has forked it
        self.installed = installed
        self.link = link
        self.session = session  # the one stateful session that it serves, None for a worker of the pool
        self.in_flight: deque[CallRecord] = deque()
        self._unknown = 0
        self._backlog_s = 0.0
        self.known: set[int] = set()  # numbers of sessions whose definition it has
        self.idle_since_s = monotonic_s()
        self.head_since_s = 0.0
        self.is_waiting = False  # its call waits for other calls: it does not count against the limit
        self.is_leaving = False
        self.has_begun = False
        self.fault: FlameError | None = None  # why the engine has ended it
        self.knows_authkey = False  # has it the key of multiprocessing of this process?
        self.import_path: ImportPath | None = None  # that it has been told; None = it may have lost what it was told

    def add(self, record: CallRecord) -> None:
        """A call was sent to it."""
        record.worker = self
        record.expected_s = record.session.expected_s
        self.in_flight.append(record)
        self._count(record, 1)

    def answered(self) -> CallRecord:
        """Its oldest call has ended."""
        record = self.in_flight.popleft()
        self._count(record, -1)
        return record

    def take_back(self, begun: int) -> list[CallRecord]:
        """The calls that it had not begun are not in flight any more; oldest first. begun: number of its last one."""
        _, others = split_at(self.in_flight, begun)
        self.withdraw(others)
        return others

    def withdraw(self, calls: Sequence[CallRecord]) -> None:
        """These, the last ones that it was given, are not in flight any more."""
        for record in calls:
            self.in_flight.pop()
            self._count(record, -1)
            record.worker = None

    def take_off(self, calls: Sequence[CallRecord]) -> None:
        """None of these is in flight, however far the step had come that added them when it failed."""
        for record in calls:
            record.worker = None
        self.in_flight = deque(each for each in self.in_flight if each not in calls)
        self.recount()

    def recount(self) -> None:
        """After a fault: what ``backlog_s`` is made of may not have been counted to the end."""
        self._unknown, self._backlog_s = 0, 0.0
        for record in self.in_flight:
            self._count(record, 1)

    def _count(self, record: CallRecord, sign: int) -> None:
        if record.expected_s is None:
            self._unknown += sign
        else:
            self._backlog_s += sign * record.expected_s

    def backlog_s(self) -> float:
        """How long until it has worked off what it has; infinite when that is unknown."""
        return float("inf") if self._unknown else self._backlog_s

    def view(self) -> WorkerView:
        running = self.in_flight[0].completion.name if self.in_flight else None
        state = "leaving" if self.is_leaving else "waiting" if self.is_waiting else "busy" if running else "idle"
        session_id = None if self.session is None else self.session.id
        return WorkerView(self.id, self.pid or None, self.installed.name, session_id, running, state)

    def sessions_in_flight(self) -> Iterator[SessionRecord]:
        return (record.session for record in self.in_flight)


def split_at(in_flight: Sequence[CallRecord], begun: int) -> tuple[list[CallRecord], list[CallRecord]]:
    """Of a worker's calls, oldest first: those that it has begun, and those that it has not (they can run elsewhere).

    begun: the number that the worker noted on the status table last; of a call that was taken back since, maybe.
    Numbers rise, and a worker keeps the order: what has a lower one has been answered, though the answer may be in
    the pipe.
    """
    calls = list(in_flight)
    count = sum(record.number <= begun for record in calls)
    return calls[:count], calls[count:]


class Ended(NamedTuple):
    """What is remembered of a call that has ended: little, because there are millions."""

    task_id: str
    session_id: str
    state: TaskState
    created_s: float
    started_s: float
    finished_s: float
    input: bytes | None
    failed_because: str  # "" unless it has failed

    @classmethod
    def of(cls, completion: Completion, task_input: bytes | None) -> Ended:
        failed_because = _reason(completion.outcome) if completion.state is TaskState.FAILED else ""
        return cls(
            completion.task_id, completion.session_id, completion.state, completion.created_s, completion.started_s,
            completion.finished_s, task_input, failed_because,
        )  # fmt: skip

    def view(self) -> Task:
        return Task(
            id=self.task_id,
            session_id=self.session_id,
            state=self.state,
            creation_time=moment(self.created_s),
            input=self.input,
            completion_time=moment(self.finished_s),
            events=tuple(_events(self)),
        )


def _reason(outcome: Outcome | None) -> str:
    """What a failed call has ended with, in one line."""
    if outcome is None or outcome.state is not TaskState.FAILED:
        return ""
    if outcome.error is not None:
        return str(outcome.error)
    if outcome.failed_dependency is not None:
        return f"did not run, because a task that it depends on failed: {_reason(outcome.failed_dependency)}"
    if outcome.failure is None:
        return ""
    # an account in plain words, which loads nothing of the user's: the exception in it stays bytes
    failure = decode(outcome.failure.payload())
    assert isinstance(failure, Failure)
    told = f"{failure.type_name}: {failure.message}" if failure.message else failure.type_name
    return told if len(told) <= _REASON_CHARS else f"{told[:_REASON_CHARS]} ..."


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=timezone.utc)


def task_view(completion: Completion, task_input: bytes | None) -> Task:
    """A completion as clients of plain sessions see it."""
    outcome = completion.outcome
    task = Ended.of(completion, task_input).view()
    output = None if outcome is None or outcome.value is None else bytes(outcome.value.payload().data)
    return replace(task, output=output, completion_time=task.completion_time if outcome is not None else None)


def _events(ended: Ended) -> Iterator[Event]:
    """The events that the reference server records."""
    yield Event(TaskState.PENDING, "Task was created with state <Pending>", moment(ended.created_s))
    if ended.started_s:
        yield Event(TaskState.RUNNING, "Task state was updated to <Running>", moment(ended.started_s))
    if ended.state is TaskState.SUCCEED:
        yield Event(TaskState.SUCCEED, "Task was completed with state <Succeed>", moment(ended.finished_s))
    elif ended.state is TaskState.FAILED:
        message = ended.failed_because or "Task failed with state <Failed>"
        yield Event(TaskState.FAILED, message, moment(ended.finished_s))
