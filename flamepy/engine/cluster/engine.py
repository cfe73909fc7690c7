# SPDX-License-Identifier: Apache-2.0
"""The engine of a Flame cluster: calls travel in tasks, values in its object cache, and our own worker runs them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from flamepy.cache.api import ObjectStore
from flamepy.codec.payload import Payload
from flamepy.config import ContextFields
from flamepy.core.addresses import in_url
from flamepy.core.cluster import ClusterView
from flamepy.core.session import SessionState
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import FORKED, Call, CancelResult, Capability, EngineInfo, WorkerView
from flamepy.engine.cluster.applications import ClusterApplications
from flamepy.engine.cluster.cache_storage import CacheStorage
from flamepy.engine.cluster.calls.dispatcher import ClusterCall, Dispatcher
from flamepy.engine.cluster.calls.values import parcel_of, parcels_of
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.cluster.objects import ClusterObjects
from flamepy.engine.cluster.provisioner import ClusterProvisioner
from flamepy.engine.cluster.sessions import ClusterSessions
from flamepy.engine.cluster.survey import Surveyor
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.deferring import DeferringCompletion
from flamepy.engine.dependencies import Dependencies, failed_dependency, when_all_ended
from flamepy.engine.held_sessions import HeldCall, cancelled, task_of
from flamepy.errors import EngineForked, FlameError, InvalidState, NotFound, as_fault
from flamepy.protocol.cluster.parcels import Parcel
from flamepy.tls.credentials import read_credentials
from flamepy.tls.diagnosis import is_secure
from flamepy.wire import messages

logger = logging.getLogger(__name__)

_CLOSE_S = 5.0
_CONNECT_S = 0.5  # a cluster that refuses the first connection is not there
_CACHE_PORT = 9090
_CAPABILITIES = frozenset(
    {Capability.LIVE_OUTPUT, Capability.CANCEL_RUNNING, Capability.RESOURCES, Capability.ENVIRONMENTS}
)


class ClusterEngine:
    """Implements ``engine.api.Engine``. context: says where the cluster is, and its object cache."""

    worker_limit = None

    def __init__(self, context: ContextFields) -> None:
        assert context.endpoint is not None, "see engine/select.py"
        self.info = EngineInfo("cluster", context.endpoint, _CAPABILITIES)
        self._pid = os.getpid()
        self._is_closed = self._is_forked = False
        cache_endpoint, cache_tls = context.cache_endpoint, context.cache_tls
        if cache_endpoint is None:
            cache_endpoint, cache_tls = cache_beside(context.endpoint), cache_tls or context.tls
        if is_secure(cache_endpoint):
            read_credentials(cache_tls)  # they are used later, and what is wrong with them is said now
        self._objects = ClusterObjects(cache_endpoint, tls=cache_tls)
        self._connection = connection_to(context)
        try:
            self._begin()
        except BaseException:
            self._connection.close(_CLOSE_S)
            raise

    def _begin(self) -> None:
        self._callbacks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._dispatcher = Dispatcher(self._connection, self._objects, self._callbacks.put)
        self._dispatcher.slots = self._connection.ask(self._slots())
        self.applications = ClusterApplications(self._connection, self._end_sessions, self._objects.delete)
        self.sessions = ClusterSessions(
            self._connection, self._dispatcher, self._objects, DeferringCompletion, self.applications.get
        )
        self.provisioner = ClusterProvisioner(CacheStorage(lambda: self._objects.client))
        self._surveyor = Surveyor(self._connection, self._dispatcher.session_ids)
        self._thread = threading.Thread(target=self._run_callbacks, name="flame-callbacks", daemon=True)
        self._thread.start()

    async def _slots(self) -> int:
        nodes = (await self._connection.call("ListNodes", messages.ListNodesRequest(), patience_s=_CONNECT_S)).nodes
        return max(1, sum(int(each.status.allocatable.cpu) for each in nodes))

    def _run_callbacks(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            try:
                callback()
            except BaseException:
                logger.exception("done callback failed callback=%r", callback)

    @property
    def is_alive(self) -> bool:
        return not self._is_closed

    @property
    def objects(self) -> ObjectStore:
        return self._objects

    # --- calls -----------------------------------------------------------------------------------------------------

    def submit(self, session_id: str, call: Call) -> Completion:
        self._check()
        prefix = f"{self.sessions.record(session_id).spec.application}/{session_id}"
        request = parcel_of(call.request, prefix, self._objects)
        # without the request, which refers to the caller's own memory: what travels of it is a copy
        held = self.sessions.accept(session_id, replace(call, request=Payload(b"")))
        assert isinstance(held.completion, DeferringCompletion), "see ClusterSessions"
        self._post_for(held.completion, lambda: self._accept(held, request, prefix))
        return held.completion

    def _post_for(self, completion: DeferringCompletion, step: Callable[[], object]) -> None:
        """Have the event loop do this step of a call; an unexpected error in it ends the call."""

        def guarded() -> None:
            try:
                step()
            except Exception as error:
                logger.exception("unexpected error in the engine")
                completion.complete(Outcome(TaskState.FAILED, error=as_fault(error)), self._callbacks.put)

        self._connection.post(guarded)

    def _accept(self, held: HeldCall, request: Parcel, prefix: str) -> None:
        """In the event loop. Arguments that other calls still make are waited for without a thread."""
        completion, dependencies = held.completion, held.call.dependencies
        assert isinstance(completion, DeferringCompletion), "see ClusterSessions"
        call = ClusterCall(completion, self._dispatcher.service(completion.session_id), request, held.call.retries)
        self.sessions.calls[completion] = call
        completion.on_done_at_once(lambda: self.sessions.forget(completion))
        self._dispatcher.accept(call)
        if dependencies:
            when_all_ended(
                dependencies, lambda: self._post_for(completion, lambda: self._go(call, dependencies, prefix))
            )
        else:
            self._dispatcher.go(call, ())

    def _go(self, call: ClusterCall, dependencies: Dependencies, prefix: str) -> None:
        outcome = failed_dependency(dependencies)
        if outcome is None:
            try:
                self._dispatcher.go(call, parcels_of(dependencies, prefix, self._objects))
            except FlameError as error:
                outcome = Outcome(TaskState.FAILED, error=error)
        if outcome is not None:
            self._dispatcher.finish(call, outcome)

    def task(self, session_id: str, task_id: str) -> Completion:
        return self.sessions.call(session_id, task_id).completion

    def pin(self, completion: Completion) -> None:
        self.sessions.record(completion.session_id).pinned.add(completion.task_id)

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        held = self.sessions.call(session_id, task_id)
        yield task_of(held)
        if not held.completion.is_done():
            held.completion.wait()
            yield task_of(held)

    def cancel(self, completion: Completion) -> CancelResult:
        self._check()
        return self._connection.ask(self._cancel(completion))

    async def _cancel(self, completion: Completion) -> CancelResult:
        if completion.is_done():
            return CancelResult.ENDED
        call = self.sessions.calls.get(completion)
        if call is not None and call.is_sent():
            await self._dispatcher.cancel(call)
            return CancelResult.CANCELLED
        if call is not None:
            self._dispatcher.finish(call, cancelled(completion.name, "it was cancelled before it ran."))
        return CancelResult.CANCELLED

    def output(self, completion: Completion) -> bytes:
        if completion.outcome is not None:
            return completion.outcome.output
        call = self.sessions.calls.get(completion)
        return b"" if call is None else call.output

    def slot_released(self) -> contextlib.AbstractContextManager[object]:
        self._check()
        return contextlib.nullcontext()

    # --- the whole -------------------------------------------------------------------------------------------------

    def workers(self) -> Sequence[WorkerView]:
        self._check()
        reply = self._connection.ask(self._connection.call("ListExecutor", messages.ListExecutorRequest()))
        views = []
        for number, each in enumerate(reply.executors, 1):
            pool = self._dispatcher.pool_of(each.status.session_id)
            if pool is not None:
                state = messages.ExecutorState.Name(each.status.state).removeprefix("Executor").lower()
                views.append(WorkerView(number, None, pool.key.application, pool.key.alone or None, None, state))
        return views

    def cluster(self, *, wait_s: float) -> ClusterView:
        self._check()
        return self._surveyor.latest(wait_s)

    def resize(self, workers: int) -> None:
        raise InvalidState("the cluster decides how many workers run calls, by what waits: leave their number out.")

    def _check(self) -> None:
        if self._is_forked:
            raise EngineForked(FORKED)
        if self._is_closed:
            raise InvalidState("flamepy was shut down, and all Runners and services with it: create the Runner again.")

    def _end_sessions(self, lease_id: str) -> None:
        for session in list(self.sessions.records.values()):
            if lease_id in session.leases:
                self.sessions.close(session.id, cancel=True, lease=lease_id)

    def abandon_in_child(self) -> None:
        """In a forked child: the connection is the parent's."""
        self._is_closed = self._is_forked = True

    def close(self, *, grace_s: float = 5.0) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if os.getpid() != self._pid:
            return
        with contextlib.suppress(FlameError):
            for session in list(self.sessions.records.values()):
                if session.state is SessionState.OPEN:
                    with contextlib.suppress(NotFound):
                        self.sessions.close(session.id, cancel=True)
            with contextlib.suppress(asyncio.TimeoutError):
                self._connection.ask(asyncio.wait_for(self._dispatcher.all_over(), grace_s))
        self.provisioner.close()
        self._connection.close(max(grace_s, _CLOSE_S))
        for session in list(self.sessions.records.values()):  # what the grace was too short for
            for each in session.unfinished():
                each.completion.complete(cancelled(each.completion.name, "flamepy was shut down."))
        self._callbacks.put(None)
        self._thread.join(_CLOSE_S)
        self._objects.close()


def connection_to(context: ContextFields) -> Connection:
    """A connection to the cluster that is configured. Raises InvalidArgument, InvalidConfig."""
    assert context.endpoint is not None, "see engine/select.py"
    return Connection(context.endpoint, tls=context.tls)


def cache_beside(endpoint: str) -> str:
    """Where a cluster has its object cache when nothing else is said: on the same host, at the usual port."""
    parts = urlsplit(endpoint)
    return f"{'grpcs' if parts.scheme == 'https' else 'grpc'}://{in_url(parts.hostname or '')}:{_CACHE_PORT}"
