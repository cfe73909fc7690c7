# SPDX-License-Identifier: Apache-2.0
"""Sessions and calls of the embedded engine: accepted, and handed to workers. The engine's thread only.

A call waits for its arguments, then in its session's queue, then at a worker. Where it goes is decided in schedule.py,
how it ends is noted in completions.py.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from flamepy.cache.blob import blob_of
from flamepy.cache.budget import SegmentBudget
from flamepy.clock import monotonic_s
from flamepy.core.session import SessionState
from flamepy.core.task import TaskState
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.local import schedule
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.completion import LocalCompletion
from flamepy.engine.local.loop.completions import Completions, cancelled, failed, state_lost, too_many_stateful
from flamepy.engine.local.loop.containment import Containment
from flamepy.engine.local.records import CallRecord, SessionRecord, WorkerRecord
from flamepy.engine.local.workers.launcher import authkey_of_caller
from flamepy.engine.local.workers.pool import OUTPUTS_S, Pool
from flamepy.errors import FlameError, InvalidState
from flamepy.protocol import frames
from flamepy.protocol.calls import CallFrame
from flamepy.protocol.commands import AuthKey


class Dispatcher:
    """Owns sessions and calls; moves workers through ``pool``."""

    def __init__(
        self, pool: Pool, budget: SegmentBudget, completions: Completions, containment: Containment, *, ahead_s: float
    ) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self.has_free_capacity = True  # would a call that comes now run at once? From other threads: a guess
        self._pool = pool
        self._ahead_s = ahead_s
        self._budget = budget
        self._completions = completions
        self._contain = containment
        containment.put_right = self._put_right
        self._ready: deque[SessionRecord] = deque()
        self._resolved: deque[CallRecord] = deque()
        self._failure: FlameError | None = None  # the engine itself has failed, and this is why
        self._has_new_idle = False  # has a worker run out of calls since the last dispatch?
        self._sendings = 0
        self.recheck_at_s: float | None = None

    # --- calls come in ---------------------------------------------------------------------------------------------

    def accept(self, record: CallRecord) -> None:
        """A new call. Its session may have been closed, or its state lost, since the caller looked."""
        session = record.session
        session.live[record.completion.task_id] = record
        if self._failure is not None:
            self._completions.finish(record, failed(self._failure))
            return
        if session.state is SessionState.CLOSED:
            why = f"session {session.id} is not open any more: create the service again."
            self._completions.finish(record, cancelled(record, why))
            return
        if session.state_lost_reason:
            self._completions.finish(record, state_lost(session))
            return
        for dependency in record.dependencies:
            if isinstance(dependency, LocalCompletion) and dependency.outcome is None:
                record.unresolved += 1
                # through a queue: a long chain of failures must not become a deep recursion
                dependency.on_done_at_once(lambda: self._resolved.append(record))
        if session.spec.is_stateful:
            session.waiting.append(record)  # later calls wait behind one that waits for its arguments
        if record.unresolved == 0:
            self._have_arguments(record)

    def has_resolved(self) -> bool:
        return bool(self._resolved)

    def resolve(self) -> None:
        """Arguments have arrived: note it, and let those calls go that have all of theirs."""
        while self._resolved:
            record = self._resolved.popleft()
            record.unresolved -= 1
            if record.unresolved == 0 and record.completion.outcome is None:
                try:
                    self._have_arguments(record)
                except Exception as error:  # noqa: BLE001 - it ends this call
                    self._contain.end_call(record, error)

    def _have_arguments(self, record: CallRecord) -> None:
        for place, dependency in enumerate(record.dependencies):
            if isinstance(dependency, LocalCompletion):
                outcome = dependency.outcome
                assert outcome is not None
                if outcome.value is None:
                    self._completions.give_up(record, Outcome(TaskState.FAILED, failed_dependency=outcome))
                    return
                blob = record.dependencies[place] = blob_of(outcome.value)
                self._budget.admit(blob)  # used just now
        if not record.session.spec.is_stateful:
            record.session.waiting.append(record)
        self._make_ready(record.session)

    def _make_ready(self, session: SessionRecord) -> None:
        if not session.is_ready and session.waiting:
            session.is_ready = True
            self._ready.append(session)

    # --- calls go to workers ---------------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Hand out waiting calls, a packet of each session in turn, until none can be placed."""
        stuck = 0
        while self._ready and stuck < len(self._ready):
            session = self._ready.popleft()
            next_call = session.waiting[0] if session.waiting else None
            try:
                stuck = 0 if next_call is not None and self._place_next(session) else stuck + 1
            except Exception as error:  # noqa: BLE001 - it ends this call
                assert next_call is not None
                self._contain.end_call(next_call, error)
                stuck = 0
            if session.waiting and not _waits_for_arguments(session):
                self._ready.append(session)
            else:
                session.is_ready = False
                stuck = 0
        self.has_free_capacity = self._pool.has_free_capacity()
        if self._has_new_idle:
            self._has_new_idle = False
            if not self._ready and self.recheck_at_s is None:
                self._recheck_soon(monotonic_s())

    def _place_next(self, session: SessionRecord) -> bool:
        if session.spec.is_stateful:
            if _waits_for_arguments(session):
                return False
            worker = session.worker or self._pool.start_pinned(session)
            if worker is not None and _is_reserved(worker):
                return False
            if worker is None:
                self._completions.finish(session.waiting.popleft(), too_many_stateful())
                return True
            room = schedule.batch(session, worker, (), limit=1, ahead_s=self._ahead_s)
            return room > 0 and self._send(worker, session, room)
        placement = schedule.place(session, self._pool.shared.values(), limit=self._pool.limit, ahead_s=self._ahead_s)
        if isinstance(placement, schedule.Evict):
            self._pool.retire(placement.worker)
            placement = schedule.StartWorker()
        if isinstance(placement, schedule.StartWorker):
            placement = self._pool.start(session.installed)
        if placement is None:
            return False
        count = schedule.batch(
            session, placement, self._pool.shared.values(), limit=self._pool.limit, ahead_s=self._ahead_s
        )
        return self._send(placement, session, count)

    def _send(self, worker: WorkerRecord, session: SessionRecord, count: int) -> bool:
        """Send the next calls, at most ``count`` and as many as one packet takes; False when the worker takes none."""
        if not worker.knows_authkey and "multiprocessing.process" in sys.modules:
            worker.knows_authkey = worker.link.tell(AuthKey(authkey_of_caller() or b""))
        is_idle = not worker.in_flight
        batch = _plain_prefix(session, count) if session.number in worker.known else []
        calls = batch or [session.waiting[0]]
        is_noted = False
        try:
            self._note_sending(calls, session, worker)
            is_noted = True
            if batch:
                is_sent = worker.link.send_plain(session.number, [(call.number, call.request.data) for call in batch])
            else:
                is_sent = self._send_one(worker, session, calls[0])
        except FlameError as error:  # no memory for a body that is too long for a packet: nothing has gone
            worker.withdraw(calls)
            self._completions.finish(calls[0], failed(error))
            return True
        except Exception as error:
            if not is_noted:
                worker.take_off(calls)
                session.waiting.extendleft(reversed([each for each in calls if each not in session.waiting]))
                raise
            self._contain.end_worker(worker, error)  # and the call that it has begun
            return True
        if not is_sent:
            worker.withdraw(calls)
            session.waiting.extendleft(reversed(calls))
            if is_idle and self.recheck_at_s is None:  # no answer of this worker will have it tried again
                self.recheck_at_s = monotonic_s() + schedule.OVERDUE_S
            return False
        if is_idle:
            self._head_runs(worker)
        return True

    def _note_sending(self, calls: Sequence[CallRecord], session: SessionRecord, worker: WorkerRecord) -> None:
        """Before they are sent: a call that the worker may have is never given to another one."""
        for record in calls:
            self._sendings += 1
            record.number = self._sendings
            worker.add(record)
            session.waiting.popleft()

    @staticmethod
    def _send_one(worker: WorkerRecord, session: SessionRecord, record: CallRecord) -> bool:
        """Send this call, with what the worker lacks for it. Raises FlameError when there is no memory for that."""
        is_first = session.number not in worker.known
        if is_first and worker.import_path != session.import_path:
            if not worker.link.tell(session.import_path):
                return False
            worker.import_path = session.import_path
        call = CallFrame(record.number, session.number, record.request, record.blobs())
        if is_first:
            call.definition, call.checkpoint = session.definition, session.checkpoint
        is_sent = worker.link.send_call(call)
        if is_sent:
            record.carried_definition = is_first
            worker.known.add(session.number)
        return is_sent

    def goes_on(self, worker: WorkerRecord) -> None:
        """Calls of the worker have ended: the next one runs now, or the worker is idle."""
        if worker.in_flight:
            self._head_runs(worker)
            return
        worker.idle_since_s = monotonic_s()
        self._has_new_idle = self.has_free_capacity = True
        if worker.is_leaving:
            self._pool.send_away(worker)

    def _head_runs(self, worker: WorkerRecord) -> None:
        """The oldest call in flight is the one that the worker runs now."""
        now_s = worker.head_since_s = monotonic_s()
        if self._pool.outputs_at_s is None:
            self._pool.outputs_at_s = now_s + OUTPUTS_S
        completion = worker.in_flight[0].completion
        completion.started_s = time.time()
        completion.enter(TaskState.RUNNING)

    def take_over_backlogs(self, now_s: float) -> None:
        """A worker is idle while calls queue behind one that takes longer than was expected: take those back."""
        self.recheck_at_s = None
        for idle in list(self._pool.shared.values()):
            if not idle.in_flight and not idle.is_leaving:
                busy = schedule.overdue(idle, self._pool.shared.values(), now_s=now_s)
                if busy is not None:
                    self._take_back(busy)
                    return
        self._recheck_soon(now_s)

    def _recheck_soon(self, now_s: float) -> None:
        if schedule.is_uneven(self._pool.shared.values()):
            self.recheck_at_s = now_s + schedule.OVERDUE_S

    def _take_back(self, worker: WorkerRecord) -> None:
        """Calls that the worker has not begun go back to the front of their queues."""
        worker.knows_authkey = False  # what tells it may be taken back as well
        in_flight = list(worker.in_flight)
        try:
            others = self._pool.take_back(worker)
        except Exception as error:  # it may wait for the answer to this recall
            self.put_back_all(each for each in in_flight if each not in worker.in_flight)
            self._contain.end_worker(worker, error)
            raise
        for record in others:
            if record.carried_definition:
                worker.known.discard(record.session.number)
                worker.import_path = None  # it may have been taken back as well
        self.put_back_all(others)

    def put_back_all(self, records: Iterable[CallRecord]) -> None:
        """These calls, oldest first, wait again, in front of the others."""
        faults: list[tuple[CallRecord, Exception]] = []
        for record in reversed(list(records)):
            try:
                self.put_back(record)
            except Exception as error:  # noqa: BLE001 - it ends this call
                faults.append((record, error))
        for record, fault in faults:  # once the others are in their queues
            self._contain.end_call(record, fault)

    def put_back(self, record: CallRecord) -> None:
        """The call waits again, in front of the others."""
        record.worker = None
        record.carried_definition = False
        record.completion.started_s = 0.0
        if record.completion.state is not TaskState.PENDING:
            record.completion.enter(TaskState.PENDING)
        record.session.waiting.appendleft(record)
        self._make_ready(record.session)

    # --- commands --------------------------------------------------------------------------------------------------

    def cancel(self, completion: Completion) -> bool:
        """Begin to cancel; False when the call has ended already."""
        session = self.sessions.get(completion.session_id)
        record = None if session is None else session.live.get(completion.task_id)
        if record is None:
            return False
        if record.worker is not None:
            # only what it has begun is interrupted; and no later call may build on the state that this one leaves
            self._take_back(record.worker)
            if record.worker is not None and record.worker.in_flight[-1] is not record:
                return False  # the worker has begun a later call: this one has ended, and its answer is on the way
        if record.worker is None:
            self._completions.give_up(record, cancelled(record, "it was cancelled before it ran."))
        elif not record.is_cancel_asked:
            record.is_cancel_asked = True
            self._pool.interrupt(record.worker, record.number)
        return True

    def close_session(self, session: SessionRecord, *, cancel: bool) -> None:
        """No new calls; waiting ones are cancelled. Idempotent."""
        if session.state is SessionState.OPEN:
            session.state = SessionState.CLOSED
            session.completed_s = time.time()
            for record in list(session.live.values()):
                if record.worker is not None and record.worker.in_flight[0] is not record:
                    self._take_back(record.worker)
                if record.worker is None:
                    self._completions.give_up(record, cancelled(record, "its service was closed before it ran."))
        if cancel:
            for record in list(session.live.values()):
                self.cancel(record.completion)
        if not session.live:
            self._completions.forget(session)

    def warm_up(self, session: SessionRecord) -> None:
        """Start the workers that the session asked for, before its first call."""
        if session.spec.is_stateful:
            self._pool.start_pinned(session)
        else:
            self._pool.warm_up(session.installed, session.spec.warmup)

    def end_lease(self, lease_id: str) -> None:
        """End the sessions that this lease alone is on."""
        for session in list(self.sessions.values()):
            if lease_id in session.leases:
                session.leases.discard(lease_id)
                if not session.leases:
                    self.close_session(session, cancel=True)

    def close_left(self, installed: Installed) -> None:
        """The last Runner leaves the application: end the sessions of those that left without closing them."""
        for session in list(self.sessions.values()):
            if session.installed is installed and session.spec.lease and session.state is SessionState.OPEN:
                self.close_session(session, cancel=True)

    def uninstall(self, installed: Installed) -> bool:
        """The application is gone: so are its closed sessions and its workers. Is none of its calls running?

        Raises InvalidState while it has open sessions.
        """
        sessions = [session for session in self.sessions.values() if session.installed is installed]
        names = [session.id for session in sessions if session.state is SessionState.OPEN]
        if names:
            raise InvalidState(
                f"application {installed.name!r} has open sessions ({', '.join(names[:3])}): close them first."
            )
        is_quiet = not any(session.live for session in sessions)
        for session in sessions:
            del self.sessions[session.id]
        for worker in self._pool.shared.values():
            if worker.installed is installed:
                self._pool.retire(worker)
        return is_quiet

    def set_waiting(self, worker_id: int, is_waiting: bool) -> None:
        """A worker's call begins or ends to wait for other calls: meanwhile another worker may run."""
        worker = self._pool.shared.get(worker_id)
        if worker is not None and worker.in_flight:
            worker.is_waiting = is_waiting
            if is_waiting:
                self._take_back(worker)

    def _put_right(self, fault: FlameError) -> None:
        """After an unexpected error in any step: what no queue and no worker has any more waits again, once.

        It ends with ``fault`` when that happens to it a second time, or when a worker may have begun it.
        """
        ready = set(self._ready)
        for each in self._pool.all():
            each.recount()
        for session in list(self.sessions.values()):
            waiting = set(session.waiting)
            rescued = []
            for record in list(session.live.values()):
                worker = record.worker
                if record.completion.is_done():
                    session.live.pop(record.completion.task_id, None)
                elif worker is not None:
                    if self._pool.get(worker.id) is not worker or record not in worker.in_flight:
                        record.worker = None
                        self._completions.give_up(record, failed(fault))
                elif not self._counts_arguments(record) and record not in waiting:
                    if record.is_rescued:
                        self._completions.give_up(record, failed(fault))
                    else:
                        record.is_rescued = True
                        rescued.append(record)
            session.waiting.extendleft(reversed(rescued))
            session.is_ready = session in ready
            self._make_ready(session)
            if session.state is SessionState.CLOSED and not session.live:
                self._completions.forget(session)
        self._pool.see_off()

    def _counts_arguments(self, record: CallRecord) -> int:
        """How many arguments are not there yet, or have not been seen to be there; counted anew."""
        awaited = sum(isinstance(each, LocalCompletion) and not each.is_done() for each in record.dependencies)
        record.unresolved = awaited + self._resolved.count(record)
        return record.unresolved

    def end_all(self, error: FlameError | None) -> None:
        """Every call gets an answer, now and later: cancelled, or failed when the engine itself has."""
        self._failure = error or self._failure
        for session in self.sessions.values():
            self._completions.end_all(session, error)
        self.sessions.clear()


def _is_reserved(worker: WorkerRecord) -> bool:
    """Must the worker of a stateful session get nothing now: it has to go, or its call is being cancelled?"""
    return worker.is_leaving or (bool(worker.in_flight) and worker.in_flight[0].is_cancel_asked)


def _waits_for_arguments(session: SessionRecord) -> bool:
    return session.spec.is_stateful and bool(session.waiting) and session.waiting[0].unresolved > 0


def _plain_prefix(session: SessionRecord, count: int) -> list[CallRecord]:
    """The first waiting calls that can share a packet, at most ``count``."""
    plain = []
    room_bytes = frames.PACKET_BYTES
    for record in islice(session.waiting, count):
        request = record.plain_request()
        if request is None or record.unresolved:
            break
        room_bytes -= frames.CALL_HEAD.size + len(request)
        if room_bytes < 0:
            break
        plain.append(record)
    return plain
