# SPDX-License-Identifier: Apache-2.0
"""Calls that wait, and packets of them on their way. Only the event loop's thread is in here."""

from __future__ import annotations

import asyncio
import logging
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from flamepy.clock import monotonic_s
from flamepy.core.durations import expected_after
from flamepy.core.task import TaskState
from flamepy.engine.api import SessionSpec
from flamepy.engine.cluster.calls.following import Following
from flamepy.engine.cluster.calls.packets import lost, run_packet
from flamepy.engine.cluster.calls.packing import IN_FLIGHT_PER_SLOT, calls_for_packet, fitting
from flamepy.engine.cluster.calls.pools import Pool, PoolKey
from flamepy.engine.cluster.calls.values import Objects, ParcelValue
from flamepy.engine.cluster.calls.watching import NotDelivered
from flamepy.engine.cluster.connection import Connection, back_off_s
from flamepy.engine.completion import Outcome
from flamepy.engine.deferring import DeferringCompletion
from flamepy.engine.held_sessions import cancelled
from flamepy.errors import ExecutorLost, FlameError, InvalidState, StateLost, as_fault
from flamepy.protocol.cluster import packets
from flamepy.protocol.cluster.attendance import Sign, begun_of
from flamepy.protocol.cluster.packets import RemoteCall, RemoteReport
from flamepy.protocol.cluster.parcels import Parcel

logger = logging.getLogger(__name__)

# How long a packet waits for an executor before pools of ours that have nothing to do give theirs back. A cluster never
# takes an idle executor away from a session: it would stay there for the application's delay_release, a minute.
_GIVE_WAY_S = 0.25
_START_S = 3.0  # how long a worker takes to start; then another pool gives way
_MOST_DELIVERIES = 10  # to executors that are gone; some 10 s


@dataclass(eq=False)
class ClusterCall:
    """One call: what travels of it, and who waits for it. arguments: None until all of them are there."""

    completion: DeferringCompletion
    service: ClusterService
    request: Parcel
    retries: int
    arguments: Sequence[Parcel] | None = None
    attempt: int = 0
    undelivered: int = 0  # how often the executor was gone before it came
    number: int = 0  # of its last sending
    packet: Packet | None = None
    output: bytes = b""  # so far

    def is_sent(self) -> bool:
        """Is it on its way to a worker, or with one?"""
        return self in self.service.running

    def remote(self, number: int) -> RemoteCall:
        service = self.service
        assert self.arguments is not None, "it is sent when they are there"
        return RemoteCall(
            number,
            service.id,
            service.definition,
            self.request,
            self.arguments,
            service.state,
            service.generation,
            service.spec.is_stateful,
            self.completion.name,
        )


@dataclass(eq=False)
class Packet:
    """Calls in one task. session_id: on the cluster; "" = they are not there yet.

    is_withdrawn: no worker begins it any more.
    """

    id: str
    application: str
    session_id: str = ""
    cancels: set[int] = field(default_factory=set)
    is_withdrawn: bool = False


@dataclass(eq=False)
class ClusterService:
    """What a caller opened. state, generation: of a stateful one, after its last acknowledged call."""

    id: str
    spec: SessionSpec
    definition: Parcel
    pool: Pool
    waiting: deque[ClusterCall] = field(default_factory=deque)
    running: set[ClusterCall] = field(default_factory=set)
    expected_s: float | None = None
    state: Parcel | None = None
    generation: int = 0
    unsaved_reason: str = ""
    is_closed: bool = False

    def is_saved(self) -> bool:
        """Would another worker go on where the one is that it has? A generator, for one, cannot be saved."""
        return not self.spec.is_stateful or not self.generation or self.state is not None

    def is_free(self) -> bool:
        """May a call go now? Those of one object go one after the other."""
        if not self.waiting or self.waiting[0].arguments is None:
            return False
        return not (self.spec.is_stateful and self.running)


class Dispatcher:
    """call_back: takes callbacks of other people's code, which must not run in the event loop."""

    def __init__(
        self, connection: Connection, objects: Objects, call_back: Callable[[Callable[[], object]], object]
    ) -> None:
        self._connection = connection
        self._objects = objects
        self._call_back = call_back
        self._pools: dict[PoolKey, Pool] = {}
        self._services: dict[str, ClusterService] = {}
        self._numbers = 0
        self._is_over = asyncio.Event()
        self.slots = 1

    # --- services

    def open(self, service_id: str, spec: SessionSpec, definition: Parcel) -> None:
        key = PoolKey.of(service_id, spec)
        pool = self._pools.setdefault(key, Pool(key))
        self._services[service_id] = ClusterService(service_id, spec, definition, pool)

    def pool_of(self, session_id: str) -> Pool | None:
        """That this session of the cluster is. From any thread: a look."""
        return next((each for each in list(self._pools.values()) if each.session_id == session_id), None)

    def session_ids(self) -> list[str]:
        """The sessions of the cluster that calls are sent to. In the event loop."""
        return [each.session_id for each in self._pools.values() if each.session_id is not None]

    def service(self, service_id: str) -> ClusterService:
        return self._services[service_id]

    async def close(self, service_id: str) -> None:
        """No new calls. Its executors go with its last call, unless other services use them."""
        service = self._services.get(service_id)
        if service is not None:
            service.is_closed = True
            await self._forget_if_over(service)

    async def _forget_if_over(self, service: ClusterService) -> None:
        if not service.is_closed or service.running or service.waiting:
            return
        if self._services.pop(service.id, None) is None:
            return
        pool = service.pool
        if any(each.pool is pool for each in self._services.values()):
            return
        self._pools.pop(pool.key, None)
        error = await pool.close(self._connection)
        if error is not None:
            logger.debug("session not closed application=%s error=%s", pool.key.application, error)
        self._is_over.set()

    async def all_over(self) -> None:
        """Until no packet is on its way, and no session is open. Services must have been closed."""
        while self._services:
            self._is_over = asyncio.Event()
            await self._is_over.wait()

    # --- calls

    def accept(self, call: ClusterCall) -> None:
        """A new call. Those of one object keep their order: later ones wait behind one that waits for arguments."""
        service = call.service
        if service.is_closed:
            self.finish(call, cancelled(call.completion.name, "its service was closed before it ran."))
        elif service.spec.is_stateful:
            service.waiting.append(call)

    def go(self, call: ClusterCall, arguments: Sequence[Parcel]) -> None:
        """All arguments of the call are there."""
        if call.completion.is_done():
            return
        call.arguments = arguments
        if not call.service.spec.is_stateful:
            call.service.waiting.append(call)
        self._make_ready(call.service)
        self._pump(call.service.pool)

    def withdraw(self, call: ClusterCall) -> bool:
        """Take back a call that waits; False when it is on its way."""
        if call.is_sent():
            return False
        if call in call.service.waiting:
            call.service.waiting.remove(call)
        return True

    async def cancel(self, call: ClusterCall) -> None:
        """The call is on its way, or runs: have its worker end it, or not begin it.

        Raises FlameError when that cannot be told.
        """
        packet = call.packet
        if packet is None or call.number in packet.cancels:
            return
        packet.cancels.add(call.number)
        if not packet.session_id:
            return  # see _run
        if call.completion.state is TaskState.PENDING and await self._is_withdrawn(packet):
            call.completion.complete(
                cancelled(call.completion.name, "it was cancelled before it ran."), self._call_back
            )
        else:
            await self._tell_cancels(packet)

    async def _is_withdrawn(self, packet: Packet) -> bool:
        """Own the packet, unless a worker does. Its other calls go again when the worker has refused it."""
        if not packet.is_withdrawn:
            key = f"{packet.application}/{packet.session_id}/{begun_of(packet.id)}"
            try:
                packet.is_withdrawn = await asyncio.to_thread(self._objects.put_once, key, b"withdrawn") == 1
            except FlameError as error:
                logger.debug("packet not withdrawn error=%s", error)
        return packet.is_withdrawn

    async def _tell_cancels(self, packet: Packet) -> None:
        await asyncio.to_thread(self._following(packet, []).write_control, packet.cancels)

    def _following(self, packet: Packet, batch: Sequence[ClusterCall]) -> Following:
        prefix = f"{packet.application}/{packet.session_id}"
        return Following(self._objects, prefix, packet.id, lambda sign: _take_sign(batch, sign))

    def finish(self, call: ClusterCall, outcome: Outcome) -> None:
        """The call ends so; it is in no queue any more."""
        call.service.running.discard(call)
        call.completion.complete(outcome, self._call_back)
        if self.withdraw(call):
            self._make_ready(call.service)
            self._pump(call.service.pool)

    def _make_ready(self, service: ClusterService) -> None:
        if service.is_free() and service.id not in service.pool.ready:
            service.pool.ready.append(service.id)

    def _pump(self, pool: Pool) -> None:
        """Send packets as long as there are calls, and room."""
        most = (
            1
            if pool.key.max_instances == 1
            else IN_FLIGHT_PER_SLOT * min(self.slots, pool.key.max_instances or self.slots)
        )
        while pool.ready and pool.in_flight < most:
            service = self._services.get(pool.ready.popleft())
            if service is None or not service.is_free():
                continue
            batch = self._next_batch(service)
            self._make_ready(service)
            pool.in_flight += 1
            self._connection.start(self._run(pool, service, batch))

    def _next_batch(self, service: ClusterService) -> list[ClusterCall]:
        count = (
            1
            if service.spec.is_stateful
            else calls_for_packet(len(service.waiting), expected_s=service.expected_s, slots=self.slots)
        )
        batch = [service.waiting.popleft() for _ in range(count)]
        sizes = [len(each.request.field()) + sum(len(one.field()) for one in each.arguments or ()) for each in batch]
        while len(batch) > fitting(sizes):
            service.waiting.appendleft(batch.pop())
        service.running.update(batch)
        return batch

    async def _run(self, pool: Pool, service: ClusterService, batch: list[ClusterCall]) -> None:
        packet = Packet(uuid.uuid4().hex, pool.key.application)
        try:
            for each in batch:
                self._numbers += 1
                each.number, each.packet = self._numbers, packet
            packet.session_id = await pool.opened(self._connection)
            if packet.cancels:  # while its session was being opened
                packet.is_withdrawn = True
                self._take_withdrawn(service, batch)
                return
            self._connection.start(self._give_way(pool, batch))
            output = await run_packet(
                self._connection,
                packet.session_id,
                packets.task_input(packet.id, [each.remote(each.number) for each in batch]),
                packet.id,
                lambda: self._follow(packet, batch),
                lambda: [each for one in self._pools.values() for each in one.abandoned],
            )
            if packet.is_withdrawn:
                self._take_withdrawn(service, batch)
                return
            reports = packets.reports_of(output)
            for call, report in zip(batch, reports, strict=True):
                self._take(call, report)
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - it ends these calls, not the engine
            try:
                if isinstance(error, (ExecutorLost, NotDelivered)):
                    # what is left of the executor would take the next task too, and fail it
                    await pool.abandon(self._connection, packet.session_id)
                if isinstance(error, NotDelivered):
                    await asyncio.sleep(back_off_s(batch[0].undelivered))
            finally:
                self._take_failure(service, batch, error)
        finally:
            pool.in_flight -= 1
            pool.used_s = monotonic_s()
            self._make_ready(service)
            self._pump(pool)
            await self._forget_if_over(service)

    async def _follow(self, packet: Packet, batch: list[ClusterCall]) -> None:
        """From the beginning of the packet on. Raises ExecutorLost."""
        _begin(batch[0])
        await self._following(packet, batch).until_lost(lambda: packet.cancels)

    async def _give_way(self, pool: Pool, batch: list[ClusterCall]) -> None:
        """Let the packet have executors that wait for nothing: of the pool first that was used longest ago."""
        await asyncio.sleep(_GIVE_WAY_S)
        while any(each.completion.state is TaskState.PENDING for each in batch):
            idle = [each for each in self._pools.values() if each is not pool and self._may_give_way(each)]
            if idle:
                other = min(idle, key=lambda each: each.used_s)
                logger.debug("pool gives way session=%s", other.session_id)
                await other.close(self._connection)
            await asyncio.sleep(_START_S)

    def _may_give_way(self, pool: Pool) -> bool:
        """Are its executors idle, and would nothing be lost with them? A state that was saved goes on elsewhere."""
        return (
            pool.session_id is not None
            and not pool.in_flight
            and (pool.key.is_stateful or not pool.key.min_instances)  # an object has one executor, always
            and all(each.is_saved() for each in self._services.values() if each.pool is pool)
        )

    def _take(self, call: ClusterCall, report: RemoteReport) -> None:
        service = call.service
        if not call.completion.started_s:
            call.completion.started_s = time.time() - report.duration_s
        if call.packet is not None and call.number in call.packet.cancels and report.status != packets.CANCELLED:
            # its caller was told that it is cancelled; the object goes back to the state before it
            outcome = cancelled(call.completion.name, "it was about to end; its value was dropped.")
            self.finish(call, replace(outcome, output=report.output))
            return
        service.expected_s = expected_after(service.expected_s, max(0.0, report.duration_s - report.importing_s))
        service.generation = report.generation
        if report.new_state is not None:
            service.state, service.unsaved_reason = report.new_state, ""
        if report.warning:
            service.state, service.unsaved_reason = None, report.warning
        self.finish(call, self._outcome(service, report))

    def _outcome(self, service: ClusterService, report: RemoteReport) -> Outcome:
        value = ParcelValue(report.body, self._objects)
        told = report.output, report.duration_s, report.warning, report.errors, report.importing_s
        if report.status == packets.OK:
            return Outcome(TaskState.SUCCEED, value, None, None, None, *told)
        if report.status == packets.FAILED:
            return Outcome(TaskState.FAILED, None, value, None, None, *told)
        state = TaskState.CANCELLED if report.status == packets.CANCELLED else TaskState.FAILED
        error = pickle.loads(value.payload().data)
        if isinstance(error, StateLost) and service.unsaved_reason:  # which its next worker does not know
            error = StateLost(service.spec.name or service.id, service.unsaved_reason)
        return Outcome(state, None, None, error, None, *told)

    def _take_withdrawn(self, service: ClusterService, batch: list[ClusterCall]) -> None:
        """No worker has begun the packet: what was not cancelled waits again."""
        self._end_cancelled(batch)
        self._wait_again(service, [each for each in batch if not each.completion.is_done()])

    def _end_cancelled(self, batch: list[ClusterCall]) -> None:
        """Those that gave no result before it was known that they were cancelled."""
        for call in batch:
            if call.packet is not None and call.number in call.packet.cancels:
                self.finish(call, cancelled(call.completion.name, "it was cancelled before it ended."))

    def _take_failure(self, service: ClusterService, batch: list[ClusterCall], error: Exception) -> None:
        if isinstance(error, NotDelivered):
            fault: FlameError = InvalidState(
                f"{_MOST_DELIVERIES + 1} executors of the cluster were gone before the call came to them, the last one "
                f"because {error}. It has not begun. Have the cluster mended, then make the call again."
            )
        else:
            fault = as_fault(error)
            if fault is not error:
                logger.error("unexpected error in the engine", exc_info=error)
        self._end_cancelled(batch)
        again = []
        for call in batch:
            if call.completion.is_done():
                continue
            may_run_again = isinstance(error, ExecutorLost) and call.attempt < call.retries
            is_undelivered = isinstance(error, NotDelivered) and call.undelivered < _MOST_DELIVERIES
            if may_run_again or is_undelivered:
                call.attempt += may_run_again
                call.undelivered += is_undelivered
                again.append(call)
            else:
                self.finish(call, Outcome(TaskState.FAILED, error=lost(fault, call.completion.name)))
        self._wait_again(service, again)

    def _wait_again(self, service: ClusterService, calls: Sequence[ClusterCall]) -> None:
        for call in calls:
            service.running.discard(call)
            call.completion.enter(TaskState.PENDING)
            call.output = b""
        service.waiting.extendleft(reversed(calls))


def _begin(call: ClusterCall) -> None:
    """The call runs. Of those behind it in the packet nobody tells, while they are short."""
    completion = call.completion
    if completion.state is TaskState.PENDING:
        completion.started_s = time.time()
        completion.enter(TaskState.RUNNING)


def _take_sign(batch: Sequence[ClusterCall], sign: Sign) -> None:
    for call in batch:
        if call.number == sign.number:
            call.output = sign.output
            _begin(call)
