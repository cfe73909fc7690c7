# SPDX-License-Identifier: Apache-2.0
"""The seam between those who make calls and those who run them.

An engine moves bytes: values are encoded above it (runner) and decoded in the worker and in
``ObjectFuture.get``. A second engine is a directory that implements ``Engine``, not a set of ifs.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from flamepy.cache.api import ObjectStore
from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectRef
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionView
from flamepy.core.task import Task, TaskState
from flamepy.errors import FlameError


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; nobody changes it
class Outcome:
    """How a call ended. Exactly one of value, failure, error is set.

    value: the encoded result. failure: an encoded ``core.failure.Failure``, the worker's account of an exception of
    the user's code. error: what the engine itself has to say (WorkerLost, StateLost, CallCancelled, ...).
    because: the outcome of the argument that failed, when the call never ran.
    output: the tail of what the call printed. duration_s: how long it ran in the worker.
    warning: something that the caller should be told once (a state that cannot be saved).
    """

    state: TaskState
    value: Blob | None = None
    failure: Blob | None = None
    error: FlameError | None = None
    because: Outcome | None = None
    output: bytes = b""
    duration_s: float = 0.0
    warning: str = ""


# An interrupt that comes just before the system call that waits does not end it: Python looks for one afterwards.
INTERRUPT_CHECK_S = 0.2


def look_up_at(deadline_s: float | None) -> float:
    """When a wait until ``deadline_s`` (monotonic; None = for ever) looks up next, so that no interrupt is lost."""
    soon_s = time.monotonic() + INTERRUPT_CHECK_S
    return soon_s if deadline_s is None else min(deadline_s, soon_s)


class Completion:
    """The engine's end of a future: one call, its state, and who waits for it. One engine thread writes it.

    Times are seconds since the epoch; 0.0 = not yet.
    """

    __slots__ = (
        "__weakref__", "_callbacks", "_observers", "_waiter", "_waiters", "created_s", "finished_s", "name", "outcome",
        "session_id", "started_s", "state", "task_id",
    )  # fmt: skip

    def __init__(
        self,
        session_id: str,
        task_id: str,
        name: str = "",
        waiter: Callable[[Completion, float | None], bool] | None = None,
    ) -> None:
        """waiter: the engine's way to wait, with the meaning of ``block``; None = block."""
        self.session_id = session_id
        self.task_id = task_id
        self.name = name
        self.state = TaskState.PENDING
        self.created_s = time.time()
        self.started_s = 0.0
        self.finished_s = 0.0
        self.outcome: Outcome | None = None
        self._waiter = waiter
        self._waiters: list[Callable[[], object]] | None = None
        self._callbacks: list[Callable[[], object]] | None = None
        self._observers: list[Callable[[], object]] | None = None

    def is_done(self) -> bool:
        return self.outcome is not None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the call has ended; False when ``timeout_s`` passed first. Can be interrupted."""
        if self.outcome is not None:
            return True
        return self.block(timeout_s) if self._waiter is None else self._waiter(self, timeout_s)

    def block(self, timeout_s: float | None) -> bool:
        """Wait for another thread to complete the call."""
        gate = threading.Lock()
        gate.acquire()
        self.on_done(gate.release, is_ours=True)
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        try:
            while not gate.acquire(True, max(look_up_at(deadline_s) - time.monotonic(), 0.0)):
                if deadline_s is not None and time.monotonic() >= deadline_s:
                    return False
            return True
        finally:
            if self.outcome is None and self._waiters:  # it gives up: many short waits must not pile up here
                with contextlib.suppress(ValueError):
                    self._waiters.remove(gate.release)

    def on_done(self, callback: Callable[[], object], *, is_ours: bool = False) -> None:
        """Call ``callback`` once the call has ended: at once, or in the engine's thread, where it must not block.

        is_ours: it is a few instructions of flamepy, and may run in the middle of a turn of the engine.
        """
        if is_ours:
            if self._waiters is None:
                self._waiters = []
            self._waiters.append(callback)
            if self.outcome is not None:
                _call_all(self._waiters)
        else:
            if self._callbacks is None:
                self._callbacks = []
            self._callbacks.append(callback)
            if self.outcome is not None:
                _call_all(self._callbacks)

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` at each change of state from now on, in the engine's thread, where it must not block."""
        if self._observers is None:
            self._observers = []
        self._observers.append(callback)

    def enter(self, state: TaskState) -> None:
        """For the engine: the call runs now, or waits again."""
        self.state = state
        if self._observers:
            for observer in self._observers:
                observer()

    def complete(self, outcome: Outcome, call_back: Callable[[Callable[[], object]], object] | None = None) -> None:
        """For the engine: store the outcome, then wake everybody. A second outcome is ignored.

        call_back: takes callbacks that are not ours, to be called after the turn; None = call them here.
        """
        if self.outcome is None:
            self.finished_s = time.time()
            self.state = outcome.state
            self.outcome = outcome
            if self._observers:
                for observer in self._observers:
                    observer()
        if self._waiters:
            _call_all(self._waiters)
        if self._callbacks:
            callbacks = self._callbacks
            if call_back is None:
                _call_all(callbacks)
            else:
                call_back(lambda: _call_all(callbacks))


def _call_all(callbacks: list[Callable[[], object]]) -> None:
    """Call each once, whoever else does so at the same time: pop is one step."""
    while callbacks:
        try:
            callback = callbacks.pop(0)
        except IndexError:
            return
        callback()


@dataclass(slots=True)
class Call:
    """One call on its way to a worker.

    request: an encoded ``runner.types.RunnerRequest`` (or the bytes of a plain session's task).
    dependencies: results that the request refers to by position; the engine waits for them.
    name: for people, such as ``Counter.add``. retries: how often to start again when a worker is lost.
    """

    request: Payload
    dependencies: Sequence[Completion | ObjectRef] = ()
    name: str = ""
    retries: int = 0
    input: bytes | None = None


@dataclass(frozen=True)
class SessionSpec:
    """What a session is opened with.

    definition: the encoded ``RunnerContext`` (function, class or instance), or common data of a plain session.
    is_stateful: one object, one worker that keeps it, calls in the order in which they were made.
    max_instances: workers at one time, None = as many as there are. warmup: workers to start at once.
    environ: environment variables of its workers beyond those of the engine.
    """

    application: str
    definition: Payload | None = None
    is_stateful: bool = False
    min_instances: int = 0
    max_instances: int | None = None
    warmup: int = 0
    resreq: ResourceRequirement | None = None
    name: str = ""
    common_data: bytes | None = None
    environ: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class WorkerView:
    """A snapshot of one worker process, for status displays."""

    worker_id: int
    pid: int
    application: str
    session_id: str | None
    running: str | None
    state: str


class Engine(Protocol):
    """Runs calls somewhere. Knows bytes, never user objects. Safe to use from any thread.

    Methods raise FlameError: NotFound for an unknown name (the words "not found"), InvalidState or InvalidArgument
    for a closed session (the words "is not open"), EngineForked in a forked child.
    """

    @property
    def name(self) -> str: ...

    @property
    def cache(self) -> ObjectStore: ...

    @property
    def package_store(self) -> str:
        """A directory of the engine's own for packages of Runners without configured storage."""
        ...

    def register_application(self, name: str, attributes: ApplicationAttributes) -> Application:
        """Raises AlreadyExists."""
        ...

    def unregister_application(self, name: str) -> None:
        """Remove it and its closed sessions. Raises NotFound; InvalidState while sessions are open."""
        ...

    def get_application(self, name: str) -> Application | None: ...

    def list_applications(self) -> list[Application]: ...

    def create_session(self, session_id: str, spec: SessionSpec) -> SessionView:
        """Raises NotFound (application), AlreadyExists (session id)."""
        ...

    def open_session(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        """Get or create. Raises NotFound, InvalidArgument (closed, or another spec)."""
        ...

    def get_session(self, session_id: str) -> SessionView: ...

    def list_sessions(self) -> list[SessionView]: ...

    def session_spec(self, session_id: str) -> SessionSpec:
        """What the session was opened with. Raises NotFound."""
        ...

    def close_session(self, session_id: str, *, cancel: bool = False) -> SessionView:
        """No new calls. Waiting calls are cancelled; running ones too when ``cancel``, else they end by themselves."""
        ...

    def submit(self, session_id: str, call: Call) -> Completion:
        """Hand over a call; never blocks. Raises NotFound, InvalidArgument (closed session)."""
        ...

    def find(self, session_id: str, task_id: str) -> Completion:
        """The call of that name, while anybody still holds it. Raises NotFound."""
        ...

    def keep(self, completion: Completion) -> None:
        """Only the name of this call leaves this process: ``find`` must know it until its session goes."""
        ...

    def get_task(self, session_id: str, task_id: str) -> Task: ...

    def list_tasks(self, session_id: str) -> list[Task]: ...

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        """The task at each change of state; ends with a terminal state, always."""
        ...

    def cancel(self, completion: Completion) -> bool:
        """Remove a waiting call, interrupt a running one. False when it had already ended.

        The completion ends as CANCELLED, at the latest when the grace period is over and its worker is killed.
        """
        ...

    def output(self, completion: Completion) -> bytes:
        """The tail of what the call has printed so far."""
        ...

    def waiting(self, is_waiting: bool) -> None:
        """This thread begins or ends to wait for calls: a worker that waits does not count against the limit."""
        ...

    def workers(self) -> list[WorkerView]: ...

    def abandon_in_child(self) -> None:
        """In a forked child: close copies of descriptors, touch nothing of the parent's; then raise EngineForked."""
        ...

    def close(self, *, grace_s: float = 5.0) -> None:
        """Cancel everything, end every process and thread, free all memory. Idempotent."""
        ...


@runtime_checkable
class Resizable(Protocol):
    """What an engine can do beyond ``Engine`` when it starts the workers itself."""

    worker_limit: int

    def resize(self, workers: int) -> None:
        """Change how many workers may run calls at one time."""
        ...


class TaskIds:
    """Per-session task ids: "1", "2", ... ``next`` on a count is atomic."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = itertools.count(1)

    def next(self) -> str:
        return str(next(self._count))
