# SPDX-License-Identifier: Apache-2.0
"""The seam between those who make calls and those who run them.

An engine moves bytes: values are encoded above it (runner) and decoded in the worker and in ``ObjectFuture.get``. A
second engine is a directory that implements ``Engine``, not a set of ifs: code that needs more than every engine has
looks for a ``Capability``, and says in one sentence what happens without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from flamepy.cache.api import ObjectStore
from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectRef
from flamepy.core.cluster import ClusterView
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionView
from flamepy.core.task import Task
from flamepy.engine.completion import Completion

if TYPE_CHECKING:  # loaded when a Runner packages its project, which others need not wait for
    from flamepy.packaging import PackageOptions, Packager, Storage

FORKED = (
    "this process was forked from the one that runs the workers, and cannot use them: "
    "create a Runner of its own in the child."
)


class Capability(Enum):
    """What an engine may be able to do beyond what every engine does. The value says it in words.

    RESIZE: ``Engine.resize``. LIVE_OUTPUT: ``Engine.output`` tells of a call that runs. CANCEL_RUNNING: ``cancel``
    ends a call that has begun. RESOURCES: ``SessionSpec.resreq`` is heeded. BATCHES: so is ``batch_size``. COMMANDS: so
    are the attributes of an application that say how its workers run. ENVIRONMENTS: so are its environment variables.
    """

    RESIZE = "change how many workers run calls"
    LIVE_OUTPUT = "show what a call prints while it runs"
    CANCEL_RUNNING = "end a call that has begun"
    RESOURCES = "give each worker the resources that a service asks for"
    BATCHES = "hand out the tasks of a session in batches"
    COMMANDS = "run the workers of an application in a way of its own"
    ENVIRONMENTS = "set environment variables of an application's workers"


@dataclass(frozen=True)
class EngineInfo:
    """kind: the engine's name for people, such as ``embedded``; where: what it is connected to, "" = this machine."""

    kind: str
    where: str = ""
    capabilities: frozenset[Capability] = frozenset()


class CancelResult(Enum):
    """What became of the wish to cancel a call."""

    CANCELLED = "it ends as cancelled, at the latest when the grace period is over"
    ENDED = "it had ended already"
    CANNOT = "it has begun, and goes on: this engine cannot interrupt it"


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
    name: for people. handle: what a handle needs that is made of the session's name, in ``SessionView`` as it is here.
    lease: of the Runner that opens it, whose end ends the session; "" = it stays until it is closed.
    checkpoint: the state that a stateful session goes on from; None = it begins as its definition makes it.
    """

    application: str
    definition: Payload | None = None
    is_stateful: bool = False
    min_instances: int = 0
    max_instances: int | None = None
    warmup: int = 0
    resreq: ResourceRequirement | None = None
    name: str = ""
    handle: bytes = b""
    common_data: bytes | None = None
    lease: str = ""
    checkpoint: Payload | None = None


@dataclass(frozen=True)
class WorkerView:
    """A snapshot of one worker process, for status displays.

    Attributes:
        worker_id: Its number, from 1 on.
        pid: Of the process; None for a moment while it is started.
        application: Whose package it has.
        session_id: Of the service that it keeps; None = of none at the moment.
        running: The call that it runs; None = it waits for one.
        state: In a word.
    """

    worker_id: int
    pid: int | None
    application: str
    session_id: str | None
    running: str | None
    state: str


class Applications(Protocol):
    """What can be run on an engine, by name."""

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        """Raises AlreadyExists."""
        ...

    def unregister(self, name: str) -> None:
        """Remove it and its closed sessions. Raises NotFound; InvalidState while sessions are open."""
        ...

    def lease(
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

    def get(self, name: str) -> Application | None: ...

    def list(self) -> Sequence[Application]: ...


class Sessions(Protocol):
    """The sessions of an engine. Those that are closed are known until their application goes."""

    def create(self, session_id: str, spec: SessionSpec) -> SessionView:
        """Raises NotFound (application), AlreadyExists (session id)."""
        ...

    def create_like(self, session_id: str, new_id: str) -> SessionView:
        """One more session of the same definition, with an object and a worker of its own, and no name.

        Raises NotFound, InvalidState when that session is not open.
        """
        ...

    def open(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        """Get or create. Raises NotFound, InvalidArgument (closed, or another spec)."""
        ...

    def get(self, session_id: str) -> SessionView: ...

    def list(self) -> Sequence[SessionView]: ...

    def close(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        """No new calls. Waiting calls are cancelled; running ones too when ``cancel``, else they end by themselves.

        lease: close it for this one only; it goes on while others that joined it are there.
        """
        ...

    def common_data(self, session_id: str) -> bytes | None:
        """What a plain session was opened with. Raises NotFound."""
        ...

    def task(self, session_id: str, task_id: str) -> Task:
        """A snapshot of one task. Raises NotFound."""
        ...

    def tasks(self, session_id: str) -> Sequence[Task]: ...


class Provisioner(Protocol):
    """How a project reaches the workers of an engine."""

    def check(self, dependencies: Sequence[str] | None, python_version: str | None) -> None:
        """Raises InvalidArgument for what the workers would not have, where that is known before a call."""
        ...

    def options(self, excludes: Iterable[str], includes: Iterable[str]) -> PackageOptions:
        """How a package for these workers is made."""
        ...

    def storage(self, url: str | None, *, source: str = "") -> Storage | None:
        """Where packages go: what ``package.storage`` names, or a place of the engine; None = they stay where they are.

        source: the file of the configuration, for the message. Raises InvalidConfig, also for a place that these
        workers cannot fetch from.
        """
        ...

    def launched(self, attributes: ApplicationAttributes) -> ApplicationAttributes:
        """The attributes of a Runner's application, with what starts its workers here."""
        ...

    @property
    def packager(self) -> Packager:
        """Packages projects, and knows which of them are unchanged. The same one as long as the engine lives."""
        ...


class Engine(Protocol):
    """Runs calls somewhere. Knows bytes, never user objects. Safe to use from any thread.

    Methods raise FlameError: NotFound for an unknown name (the words "not found"), InvalidState or InvalidArgument
    for a closed session (the words "is not open"), EngineForked in a forked child.
    """

    @property
    def info(self) -> EngineInfo: ...

    @property
    def is_alive(self) -> bool:
        """Does it take calls? False after ``close``, and when it had to give up."""
        ...

    @property
    def objects(self) -> ObjectStore: ...

    @property
    def applications(self) -> Applications: ...

    @property
    def sessions(self) -> Sessions: ...

    @property
    def provisioner(self) -> Provisioner: ...

    def submit(self, session_id: str, call: Call) -> Completion:
        """Hand over a call; never blocks. Raises NotFound, InvalidArgument (closed session)."""
        ...

    def task(self, session_id: str, task_id: str) -> Completion:
        """The call of that name, which has not ended or is pinned. Raises NotFound."""
        ...

    def pin(self, completion: Completion) -> None:
        """Only the name of this call leaves this process: ``task`` must know it until its session goes."""
        ...

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        """The task at each change of state, which may skip RUNNING; ends with a terminal state, always."""
        ...

    def cancel(self, completion: Completion) -> CancelResult:
        """Remove a waiting call, interrupt a running one where the engine has CANCEL_RUNNING."""
        ...

    def output(self, completion: Completion) -> bytes:
        """The tail of what the call has printed; while it runs, b"" where the engine has no LIVE_OUTPUT."""
        ...

    def slot_released(self) -> AbstractContextManager[object]:
        """Around a wait for calls that is not ``Completion.wait``: a worker that waits leaves its place to others.

        Raises EngineForked in a forked child, where no call ever ends.
        """
        ...

    def workers(self) -> Sequence[WorkerView]: ...

    def cluster(self, *, wait_s: float) -> ClusterView | None:
        """How the cluster is that runs the calls, asked for at most ``wait_s``; None: this engine is no cluster."""
        ...

    @property
    def worker_limit(self) -> int | None:
        """How many workers may run calls at one time; None = another process decides that."""
        ...

    def resize(self, workers: int) -> None:
        """Change ``worker_limit``. Raises InvalidState where the engine has no RESIZE."""
        ...

    def abandon_in_child(self) -> None:
        """In a forked child: close copies of descriptors, touch nothing of the parent's; then raise EngineForked."""
        ...

    def close(self, *, grace_s: float = 5.0) -> None:
        """Cancel everything, end every process and thread, free all memory. Idempotent."""
        ...
