# SPDX-License-Identifier: Apache-2.0
"""The embedded engine: worker processes on this machine, and one thread that runs the event loop."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from collections.abc import Iterator, Sequence

from flamepy.cache.blob import Blob, blob_of
from flamepy.cache.store import MemoryStore
from flamepy.core.cache import ObjectRef
from flamepy.core.session import SessionState
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Call, CancelResult, Capability, EngineInfo, WorkerView
from flamepy.engine.completion import INTERRUPT_CHECK_S, Completion, Outcome
from flamepy.engine.local.applications import LocalApplications
from flamepy.engine.local.completion import LocalCompletion
from flamepy.engine.local.core import Core
from flamepy.engine.local.fast_parts import FAST, FastParts
from flamepy.engine.local.loop.event_loop import SHUT_DOWN, Loop
from flamepy.engine.local.records import CallRecord, task_view
from flamepy.engine.local.sessions import LocalSessions, find_task
from flamepy.engine.local.workers.cpu_limits import usable_cpus
from flamepy.engine.local.workers.startup import StartupResources
from flamepy.engine.provisioner import MachineProvisioner
from flamepy.engine.uplink.host import UplinkHost
from flamepy.errors import CallCancelled, InvalidArgument, NotFound
from flamepy.protocol.app_directory import remove_tree

logger = logging.getLogger(__name__)

_CLOSE_S = 10.0  # the engine's thread only has to tell the zygote, which has a bound of its own
_INFO = EngineInfo(
    "embedded",
    capabilities=frozenset(
        {Capability.RESIZE, Capability.LIVE_OUTPUT, Capability.CANCEL_RUNNING, Capability.ENVIRONMENTS}
    ),
)


class EmbeddedEngine:
    """Implements ``engine.api.Engine`` with worker processes on this machine.

    workers: how many run calls at one time, None = the CPUs that this process may use. memory_limit_bytes: values
    beyond it move to disk, None = no limit. startup: when it was begun with already. parts: to leave some out.
    """

    info = _INFO

    def __init__(
        self,
        *,
        workers: int | None = None,
        memory_limit_bytes: int | None = None,
        startup: StartupResources | None = None,
        parts: FastParts = FAST,
    ) -> None:
        self._pid = os.getpid()
        self.worker_limit = usable_cpus() if workers is None else workers
        startup = startup or StartupResources()
        with contextlib.ExitStack() as undo:
            undo.callback(startup.undo)
            self._begin(startup, memory_limit_bytes, parts, undo)
            undo.pop_all()

    def _begin(
        self, startup: StartupResources, memory_limit_bytes: int | None, parts: FastParts, undo: contextlib.ExitStack
    ) -> None:
        self._scratch = startup.scratch
        self.objects = MemoryStore(
            f"local://{self._scratch.name}", memory_limit_bytes=memory_limit_bytes, spill_directory=str(self._scratch)
        )
        self._closing = threading.Lock()
        self._uplink = UplinkHost(self, str(self._scratch / "uplink"))
        undo.callback(self._uplink.close)
        self._loop = Loop(
            startup, limit=self.worker_limit, uplink=self._uplink, budget=self.objects.budget, parts=parts
        )
        self._core = Core(self._loop, self.objects)
        self.package_directory = self._scratch / "packages"
        self.provisioner = MachineProvisioner(self.package_directory)
        self.applications = LocalApplications(self._core, str(self._scratch / "apps"))
        self.sessions = LocalSessions(self._core, self.applications)

    @property
    def is_alive(self) -> bool:
        return self._core.is_alive

    @property
    def uplink_address(self) -> str:
        """Where a call that runs on this engine finds it."""
        return self._uplink.address

    # --- calls -----------------------------------------------------------------------------------------------------

    def submit(self, session_id: str, call: Call) -> Completion:
        session = self.sessions.record(session_id)
        if session.state is SessionState.CLOSED:
            raise InvalidArgument(f"session {session_id!r} is not open any more: create the service again.")
        completion = LocalCompletion(
            session_id, str(next(session.task_numbers)), call.name or session_id, self._core.wait
        )
        request = self.objects.budget.hold(call.request)
        dependencies: list[LocalCompletion | Blob] = (
            [self._resolved(dependency) for dependency in call.dependencies] if call.dependencies else []
        )
        record = CallRecord(completion, session, request, dependencies, call.retries, call.input)
        self._loop.submit(record)
        if self._loop.has_ended:  # it will not be looked at
            failure = self._loop.failure
            state = TaskState.CANCELLED if failure is None else TaskState.FAILED
            completion.complete(Outcome(state, error=failure or CallCancelled(SHUT_DOWN)))
        return completion

    def _resolved(self, dependency: Completion | ObjectRef) -> LocalCompletion | Blob:
        if isinstance(dependency, ObjectRef):
            return blob_of(self.objects.get(dependency).base)
        assert isinstance(dependency, LocalCompletion), "the runner lets no future of another engine through"
        return dependency

    def pin(self, completion: Completion) -> None:
        session = self.sessions.record(completion.session_id)

        def pin() -> None:
            if completion.task_id not in session.kept:
                task = find_task(session, completion.task_id)
                session.kept[completion.task_id] = (completion, task.input)

        self._loop.ask(pin)

    def task(self, session_id: str, task_id: str) -> Completion:
        session = self.sessions.record(session_id)

        def look() -> Completion:
            if task_id in session.live:
                return session.live[task_id].completion
            if task_id in session.kept:
                return session.kept[task_id][0]
            raise NotFound(f"task {task_id} of session {session_id!r} not found: nobody holds its result any more.")

        return self._loop.ask(look)

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        completion = self.task(session_id, task_id)
        changes: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._loop.ask(lambda: completion.on_change(lambda: changes.put(task_view(completion, None))))
        if completion.is_done():
            yield task_view(completion, None)
            return
        while True:
            try:
                task = changes.get(timeout=INTERRUPT_CHECK_S)
            except queue.Empty:
                continue
            yield task
            if task.state.is_terminal():
                return

    def cancel(self, completion: Completion) -> CancelResult:
        self._core.check()
        is_cancelled = self._loop.ask(lambda: self._loop.dispatcher.cancel(completion))
        return CancelResult.CANCELLED if is_cancelled else CancelResult.ENDED

    def output(self, completion: Completion) -> bytes:
        outcome = completion.outcome
        if outcome is not None:
            return outcome.output
        live = self.sessions.record(completion.session_id).live.get(completion.task_id)
        worker = None if live is None else live.worker
        is_running = worker is not None and bool(worker.in_flight) and worker.in_flight[0] is live
        return self._loop.pool.output_tail(worker) if worker is not None and is_running else b""

    def slot_released(self) -> contextlib.AbstractContextManager[object]:
        """The caller's own process is no worker: nothing to release. Raises EngineForked in a forked child."""
        if self._core.is_forked:
            self._core.check()
        return contextlib.nullcontext()

    def end_leases_of(self, worker_id: int, pid: int, leases: Sequence[str]) -> None:
        """For the uplink: the process that had these leases has ended."""
        self.applications.end_leases_of(worker_id, pid, leases)

    def set_worker_waiting(self, worker_id: int, is_waiting: bool) -> None:
        """For the uplink: a worker's call begins or ends to wait for other calls."""
        self._loop.post(lambda: self._loop.dispatcher.set_waiting(worker_id, is_waiting))

    # --- the whole -------------------------------------------------------------------------------------------------

    def resize(self, workers: int) -> None:
        """Change how many workers may run calls at one time."""
        self._core.check()
        self.worker_limit = workers
        self._loop.ask(lambda: self._loop.pool.resize(workers))

    def workers(self) -> Sequence[WorkerView]:
        self._core.check()
        return self._loop.ask(lambda: [worker.view() for worker in self._loop.pool.all()])

    def cluster(self, *, wait_s: float) -> None:
        """The workers are processes of this machine."""

    def close(self, *, grace_s: float = 5.0) -> None:
        with self._closing:
            if self._core.is_closed:
                return
            self._core.is_closed = True
        if os.getpid() != self._pid:
            return
        self._loop.stop(max(grace_s, _CLOSE_S))
        self._uplink.close()
        remove_tree(str(self._scratch))  # the zygote has done it, unless it was killed

    def abandon_in_child(self) -> None:
        """In a forked child: let go of everything that belongs to the parent, without touching it."""
        self._core.is_closed = self._core.is_forked = True
        self._loop.abandon()
        self._uplink.abandon()
