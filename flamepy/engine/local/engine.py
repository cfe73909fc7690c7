# SPDX-License-Identifier: Apache-2.0
"""The embedded engine as callers hold it: each method is a command for the engine's thread, or a read-only look."""

from __future__ import annotations

import contextlib
import copy
import itertools
import logging
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterator
from functools import partial

from flamepy.cache.blob import Blob
from flamepy.cache.descriptors import raise_descriptor_limit
from flamepy.cache.store import MemoryStore
from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectKey, ObjectRef
from flamepy.core.session import SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import FORKED, Call, SessionSpec, WorkerView
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.local.applications.installer import Installer
from flamepy.engine.local.applications.registry import Installed, Registry
from flamepy.engine.local.link.import_path import import_path_of_caller
from flamepy.engine.local.loop.event_loop import SHUT_DOWN, Loop
from flamepy.engine.local.records import CallRecord, SessionRecord, task_view
from flamepy.engine.local.workers.cpu_limits import usable_cpus
from flamepy.engine.local.workers.startup import Ignition
from flamepy.engine.uplink.host import UplinkHost
from flamepy.errors import AlreadyExists, CallCancelled, EngineForked, InvalidArgument, InvalidState, NotFound

logger = logging.getLogger(__name__)

_CLOSE_S = 10.0  # the engine's thread only has to tell the zygote, which has a bound of its own


class EmbeddedEngine:
    """Implements ``engine.api.Engine`` with worker processes on this machine.

    workers: how many run calls at one time, None = the CPUs that this process may use. memory_limit_bytes: values
    beyond it move to disk, None = no limit. ignition: when it was begun with already.
    """

    name = "embedded"

    def __init__(
        self, *, workers: int | None = None, memory_limit_bytes: int | None = None, ignition: Ignition | None = None
    ) -> None:
        self._pid = os.getpid()
        self.worker_limit = usable_cpus() if workers is None else workers
        raise_descriptor_limit()
        ignition = ignition or Ignition()
        with contextlib.ExitStack() as undo:
            undo.callback(ignition.undo)
            self._begin(ignition, memory_limit_bytes, undo)
            undo.pop_all()

    def _begin(self, ignition: Ignition, memory_limit_bytes: int | None, undo: contextlib.ExitStack) -> None:
        self._scratch = ignition.scratch
        (self._scratch / "packages").mkdir()
        self.package_store = str(self._scratch / "packages")
        self.cache = MemoryStore(
            f"local://{self._scratch.name}", memory_limit_bytes=memory_limit_bytes, spill_directory=str(self._scratch)
        )
        self._registry = Registry()
        self._installer = Installer(str(self._scratch / "apps"))
        self._session_numbers = itertools.count(1)
        self._is_closed = False
        self._is_forked = False  # is this a copy in a forked child?
        self._closing = threading.Lock()
        self._installing = threading.Lock()  # one change of the applications at a time
        self._uplink = UplinkHost(self, str(self._scratch / "uplink"))
        undo.callback(self._uplink.close)
        self._loop = Loop(ignition, limit=self.worker_limit, uplink=self._uplink, budget=self.cache.budget)
        self._sessions = self._loop.dispatcher.sessions

    @property
    def is_alive(self) -> bool:
        return not self._is_closed and self._loop.failure is None

    @property
    def uplink_address(self) -> str:
        """Where a call that runs on this engine finds it."""
        return self._uplink.address

    # --- applications ----------------------------------------------------------------------------------------------

    def register_application(self, name: str, attributes: ApplicationAttributes) -> Application:
        self._check()
        with self._installing:
            return self._register(name, attributes)

    def _register(self, name: str, attributes: ApplicationAttributes) -> Application:
        self._registry.check_free(name)
        root = self._installer.install(attributes.url, name)
        try:
            return self._registry.add(name, attributes, root)
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise

    def unregister_application(self, name: str) -> None:
        self._check()
        with self._installing:
            self._unregister(self._registry.get(name))

    def _unregister(self, installed: Installed) -> None:
        is_quiet = self._loop.ask(lambda: self._loop.dispatcher.uninstall(installed))
        self._registry.remove(installed.name)
        if installed.root is not None:
            superfluous = self._installer.give_back(installed.root) if is_quiet else [installed.root]
            self._loop.post(lambda: self._loop.pool.remove_directories(superfluous))

    def lease_application(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        self._check()
        with self._installing:
            if attributes is not None and (must_be_new or self._registry.find(name) is None):
                application = self._register(name, attributes)
                self._registry.lease(lease_id, name, is_registered_by_it=True)
            else:
                application = self._registry.get(name).application
                self._registry.lease(lease_id, name, is_registered_by_it=False)
        return application

    def end_lease(self, lease_id: str) -> bool:
        self._check()
        with self._installing:
            name = self._registry.end_lease(lease_id)
            if name is None:
                return False
            self._loop.ask(lambda: self._loop.dispatcher.end_lease(lease_id))
            return self._remove_if_left(name)

    def _remove_if_left(self, name: str) -> bool:
        """Take the application away when its last lease has ended, unless others than Runners have sessions on it."""
        if not self._registry.is_left(name):
            return False
        installed = self._registry.get(name)
        self._loop.ask(lambda: self._loop.dispatcher.close_left(installed))
        try:
            self._unregister(installed)
        except InvalidState as error:
            logger.debug("application kept name=%s reason=%s", name, error)
            return False
        self.cache.delete(ObjectKey.for_all_sessions(name).to_prefix())
        for lease_id in self._registry.left_behind(name):
            left = self._registry.end_lease(lease_id)
            if left is not None:
                self._loop.ask(partial(self._loop.dispatcher.end_lease, lease_id))
                self._remove_if_left(left)
        return True

    def end_leases_of(self, worker_id: int, pid: int, leases: list[str]) -> None:
        """For the uplink: the process that had these leases has ended."""
        retired = self._loop.ask(lambda: self._loop.pool.retired(worker_id, pid))
        if retired is not None:  # nobody asked for its end: what its calls left open was meant to be open
            with self._installing:
                self._registry.leave_behind(retired.installed.name, leases)
                self._remove_if_left(retired.installed.name)
            return
        for lease_id in leases:
            self.end_lease(lease_id)

    def get_application(self, name: str) -> Application | None:
        self._check()
        installed = self._registry.find(name)
        return None if installed is None else installed.application

    def list_applications(self) -> list[Application]:
        self._check()
        return self._registry.all()

    # --- sessions --------------------------------------------------------------------------------------------------

    def create_session(self, session_id: str, spec: SessionSpec) -> SessionView:
        self._check()
        record = self._new_session(session_id, spec)

        def create() -> SessionView:
            if session_id in self._sessions:
                raise AlreadyExists(
                    f"session {session_id!r} already exists: use another id, or open_session to join it."
                )
            return self._add(record)

        return self._loop.ask(create)

    def open_session(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        self._check()
        record = None if spec is None or session_id in self._sessions else self._new_session(session_id, spec)

        def open_() -> SessionView:
            existing = self._sessions.get(session_id)
            if existing is not None:
                _check_joinable(existing, spec)
                if spec is not None and spec.lease:
                    existing.leases.add(spec.lease)
                return existing.view()
            if record is None:
                raise NotFound(f"session {session_id!r} not found: open it with its attributes to create it.")
            return self._add(record)

        return self._loop.ask(open_)

    def _new_session(self, session_id: str, spec: SessionSpec) -> SessionRecord:
        installed = self._registry.get(spec.application)
        payload = spec.definition if spec.definition is not None else Payload(spec.common_data or b"")
        definition = self.cache.budget.hold(payload)
        number = next(self._session_numbers)
        return SessionRecord(number, session_id, spec, installed, definition, import_path_of_caller())

    def _add(self, record: SessionRecord) -> SessionView:
        self._sessions[record.id] = record
        if record.spec.warmup:
            self._loop.dispatcher.warm_up(record)
        return record.view()

    def _session(self, session_id: str) -> SessionRecord:
        self._check()
        session = self._sessions.get(session_id)
        if session is None:
            raise NotFound(f"session {session_id!r} not found: it was never opened, or its application is gone.")
        return session

    def get_session(self, session_id: str) -> SessionView:
        session = self._session(session_id)
        return self._loop.ask(session.view)

    def list_sessions(self) -> list[SessionView]:
        self._check()
        return self._loop.ask(lambda: [session.view() for session in self._sessions.values()])

    def session_spec(self, session_id: str) -> SessionSpec:
        return self._session(session_id).spec

    def close_session(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        session = self._session(session_id)

        def close() -> SessionView:
            session.leases.discard(lease)
            if not (lease and session.leases):
                self._loop.dispatcher.close_session(session, cancel=cancel)
            return session.view()

        view = self._loop.ask(close)
        if not session.spec.lease and self._registry.is_left(session.installed.name):
            with self._installing:  # it was the last reason to keep the application
                self._remove_if_left(session.installed.name)
        return view

    # --- calls -----------------------------------------------------------------------------------------------------

    def submit(self, session_id: str, call: Call) -> Completion:
        session = self._session(session_id)
        if session.state is SessionState.CLOSED:
            raise InvalidArgument(f"session {session_id!r} is not open any more: create the service again.")
        completion = Completion(session_id, str(next(session.task_numbers)), call.name or session_id, self._loop.wait)
        request = self.cache.budget.hold(call.request)
        dependencies: list[Completion | Blob] = (
            [self._resolved(dependency) for dependency in call.dependencies] if call.dependencies else []
        )
        record = CallRecord(completion, session, request, dependencies, call.retries, call.input)
        self._loop.submit(record)
        if self._loop.has_ended:  # nobody will look at it
            failure = self._loop.failure
            state = TaskState.CANCELLED if failure is None else TaskState.FAILED
            completion.complete(Outcome(state, error=failure or CallCancelled(SHUT_DOWN)))
        return completion

    def _resolved(self, dependency: Completion | ObjectRef) -> Completion | Blob:
        return self.cache.get(dependency).base if isinstance(dependency, ObjectRef) else dependency

    def keep(self, completion: Completion) -> None:
        """Somebody outside holds only the name of this call: keep its outcome until the session goes."""
        session = self._session(completion.session_id)

        def keep() -> None:
            if completion.task_id not in session.kept:
                task = _find_task(session, completion.task_id)
                session.kept[completion.task_id] = (completion, task.input)

        self._loop.ask(keep)

    def find(self, session_id: str, task_id: str) -> Completion:
        session = self._session(session_id)

        def look() -> Completion:
            if task_id in session.live:
                return session.live[task_id].completion
            if task_id in session.kept:
                return session.kept[task_id][0]
            raise NotFound(f"task {task_id} of session {session_id!r} not found: nobody holds its result any more.")

        return self._loop.ask(look)

    def get_task(self, session_id: str, task_id: str) -> Task:
        session = self._session(session_id)
        return self._loop.ask(lambda: _find_task(session, task_id))

    def list_tasks(self, session_id: str) -> list[Task]:
        session = self._session(session_id)

        def collect() -> list[Task]:
            tasks = {ended.task_id: ended.view() for ended in session.history}
            tasks |= {task_id: task_view(*kept) for task_id, kept in session.kept.items()}
            tasks |= {task_id: task_view(live.completion, live.input) for task_id, live in session.live.items()}
            return [tasks[task_id] for task_id in sorted(tasks, key=int)]

        return self._loop.ask(collect)

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        completion = self.find(session_id, task_id)
        changes: queue.SimpleQueue[Task] = queue.SimpleQueue()
        self._loop.ask(lambda: completion.on_change(lambda: changes.put(task_view(completion, None))))
        if completion.is_done():
            yield task_view(completion, None)
            return
        while True:
            task = changes.get()
            yield task
            if task.state.is_terminal():
                return

    def cancel(self, completion: Completion) -> bool:
        self._check()
        return self._loop.ask(lambda: self._loop.dispatcher.cancel(completion))

    def output(self, completion: Completion) -> bytes:
        outcome = completion.outcome
        if outcome is not None:
            return outcome.output
        live = self._session(completion.session_id).live.get(completion.task_id)
        worker = None if live is None else live.worker
        is_running = worker is not None and bool(worker.in_flight) and worker.in_flight[0] is live
        return self._loop.pool.output_tail(worker) if worker is not None and is_running else b""

    def waiting(self, is_waiting: bool) -> None:
        """The caller's own process is no worker: nothing to count."""
        if is_waiting and self._is_forked:
            raise EngineForked(FORKED)

    def set_worker_waiting(self, worker_id: int, is_waiting: bool) -> None:
        """For the uplink: a worker's call begins or ends to wait for other calls."""
        self._loop.post(lambda: self._loop.dispatcher.set_waiting(worker_id, is_waiting))

    # --- the whole -------------------------------------------------------------------------------------------------

    def resize(self, workers: int) -> None:
        """Change how many workers may run calls at one time."""
        self._check()
        self.worker_limit = workers
        self._loop.ask(lambda: self._loop.pool.resize(workers))

    def workers(self) -> list[WorkerView]:
        self._check()
        return self._loop.ask(lambda: [worker.view() for worker in self._loop.pool.all()])

    def close(self, *, grace_s: float = 5.0) -> None:
        with self._closing:
            if self._is_closed:
                return
            self._is_closed = True
        if os.getpid() != self._pid:
            return
        self._loop.stop(max(grace_s, _CLOSE_S))
        self._uplink.close()
        shutil.rmtree(self._scratch, ignore_errors=True)  # the zygote has done it, unless it was killed

    def abandon_in_child(self) -> None:
        """In a forked child: let go of everything that belongs to the parent, without touching it."""
        self._is_closed = self._is_forked = True
        self._loop.abandon()
        self._uplink.abandon()

    def _check(self) -> None:
        if self._is_forked:
            raise EngineForked(FORKED)
        if self._loop.failure is not None:
            raise copy.copy(self._loop.failure)  # what is raised holds the frames that it passes
        if self._is_closed:
            raise InvalidState(SHUT_DOWN)


def _find_task(session: SessionRecord, task_id: str) -> Task:
    live = session.live.get(task_id)
    if live is not None:
        return task_view(live.completion, live.input)
    if task_id in session.kept:
        return task_view(*session.kept[task_id])
    for ended in session.history:
        if ended.task_id == task_id:
            return ended.view()
    raise NotFound(f"task {task_id!r} of session {session.id!r} not found: list_tasks() shows those that are known.")


def _check_joinable(existing: SessionRecord, spec: SessionSpec | None) -> None:
    """Raises InvalidArgument for a closed session, and for one that was opened with another spec."""
    if existing.state is SessionState.CLOSED:
        raise InvalidArgument(f"session {existing.id!r} is not open any more: use another id.")
    if spec is None:
        return
    comparable: tuple[Callable[[SessionSpec], object], ...] = (
        lambda s: s.application,
        lambda s: s.resreq,
        lambda s: s.min_instances,
        lambda s: s.max_instances,
    )
    for name, get in zip(("application", "resreq", "min_instances", "max_instances"), comparable, strict=True):
        if get(existing.spec) != get(spec):
            raise InvalidArgument(
                f"session {existing.id!r} spec mismatch: {name} differs (expected {get(existing.spec)!r}, "
                f"got {get(spec)!r}). Use the same values to join it, or another id."
            )
