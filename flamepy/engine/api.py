# SPDX-License-Identifier: Apache-2.0
"""The seam between those who make calls and those who run them.

An engine moves bytes: values are encoded above it (runner) and decoded in the worker and in
``ObjectFuture.get``. A second engine is a directory that implements ``Engine``, not a set of ifs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from flamepy.cache.api import ObjectStore
from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectRef
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionView
from flamepy.core.task import Task
from flamepy.engine.completion import Completion

FORKED = (
    "this process was forked from the one that runs the workers, and cannot use them: "
    "create a Runner of its own in the child."
)


@dataclass(slots=True)
class Call:
    """One call on its way to a worker.

    request: an encoded ``runner.types.ShortRequest`` (or the bytes of a plain session's task).
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
    lease: of the Runner that opens it, whose end ends the session; "" = it stays until it is closed.
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
    lease: str = ""


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
    def is_alive(self) -> bool:
        """Does it take calls? False after ``close``, and when it had to give up."""
        ...

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

    def lease_application(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        """Use an application until ``end_lease``; register it with ``attributes`` when it is not there, in one step.

        Leases are counted here, because Runners of one name meet in any number of processes. Those of a process that
        ends without giving them back end with it. Raises NotFound (not there, and no attributes), AlreadyExists.
        """
        ...

    def end_lease(self, lease_id: str) -> bool:
        """Use the application no more: sessions that no other lease is on end, with their calls.

        The last lease of an application that a lease registered takes it away, with its objects: then True. An
        unknown lease is no error, its application may have been unregistered by hand.
        """
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

    def close_session(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        """No new calls. Waiting calls are cancelled; running ones too when ``cancel``, else they end by themselves.

        lease: close it for this one only; it goes on while others that joined it are there.
        """
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
        """This thread begins or ends to wait for calls: a worker that waits does not count against the limit.

        Raises EngineForked in a forked child, where no call ever ends.
        """
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
