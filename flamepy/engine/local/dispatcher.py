# SPDX-License-Identifier: Apache-2.0
"""Sessions and calls of the embedded engine: accepted, handed to workers, finished. The engine's thread only.

A call waits for its arguments, then in its session's queue, then in a worker's socket, and ends in ``_finish``,
the one place that completes futures. Where a call goes is decided in schedule.py.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable

from flamepy.cache.budget import SegmentBudget
from flamepy.codec import frames
from flamepy.core.session import SessionState
from flamepy.core.task import TaskState
from flamepy.engine.api import Completion, Outcome
from flamepy.engine.local import schedule
from flamepy.engine.local.pool import MAX_STATEFUL, Death, Pool
from flamepy.engine.local.records import CallRecord, Ended, SessionRecord, WorkerRecord
from flamepy.engine.local.registry import Installed
from flamepy.errors import CallCancelled, FlameError, FlameErrorCode, InvalidState, StateLost, WorkerLost

logger = logging.getLogger(__name__)


class Dispatcher:
    """Owns sessions and calls; moves workers through ``pool``.

    call_back: takes callbacks of other people's code, which must not run in the middle of a turn.
    """

    def __init__(self, pool: Pool, budget: SegmentBudget, call_back: Callable[[Callable[[], object]], None]) -> None:
        self.sessions: dict[str, SessionRecord] = {}
        self._pool = pool
        self._budget = budget
        self._call_back = call_back
        self._ready: deque[SessionRecord] = deque()
        self._resolved: deque[CallRecord] = deque()
        self._start_failures: dict[Installed, int] = {}
        self._failure: FlameError | None = None  # the engine itself has failed, and this is why
        self._has_new_idle = False  # has a worker run out of calls since the last dispatch?
        self.recheck_at_s: float | None = None

    # --- calls come in ---------------------------------------------------------------------------------------------

    def accept(self, record: CallRecord) -> None:
        """A new call. Its session may have been closed, or its state lost, since the caller looked."""
        session = record.session
        session.live[record.completion.task_id] = record
        if self._failure is not None:
            self._finish(record, Outcome(TaskState.FAILED, error=self._failure))
            return
        if session.state is SessionState.CLOSED:
            self._cancel_here(record, f"session {session.id} is not open any more: create the service again.")
            return
        if session.lost_because:
            self._finish(record, _state_lost(session))
            return
        for dependency in record.dependencies:
            if isinstance(dependency, Completion) and not dependency.is_done():
                record.unresolved += 1
                # through a queue: a long chain of failures must not become a deep recursion
                dependency.on_done(lambda: self._resolved.append(record), is_ours=True)
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
            if record.unresolved == 0 and not record.completion.is_done():
                self._have_arguments(record)

    def _have_arguments(self, record: CallRecord) -> None:
        for dependency in record.dependencies:
            if isinstance(dependency, Completion) and dependency.outcome is not None:
                if dependency.outcome.value is None:
                    _drop_waiting(record)
                    self._finish(record, Outcome(TaskState.FAILED, because=dependency.outcome))
                    return
                self._budget.admit(dependency.outcome.value)  # used just now
        if not record.session.spec.is_stateful:
            record.session.waiting.append(record)
        self._make_ready(record.session)

    def _make_ready(self, session: SessionRecord) -> None:
        if not session.is_ready and session.waiting:
            session.is_ready = True
            self._ready.append(session)

    # --- calls go to workers ---------------------------------------------------------------------------------------

    def dispatch(self) -> None:
        """Hand out waiting calls, one of each session in turn, until none can be placed."""
        stuck = 0
        while self._ready and stuck < len(self._ready):
            session = self._ready.popleft()
            stuck = 0 if session.waiting and self._place_next(session) else stuck + 1
            if session.waiting and not _waits_for_arguments(session):
                self._ready.append(session)
            else:
                session.is_ready = False
                stuck = 0
        if self._has_new_idle:
            self._has_new_idle = False
            if not self._ready and self.recheck_at_s is None and schedule.is_uneven(self._pool.shared.values()):
                self.recheck_at_s = time.monotonic() + 2 * schedule.AHEAD_S

    def _place_next(self, session: SessionRecord) -> bool:
        if session.spec.is_stateful:
            if _waits_for_arguments(session):
                return False
            worker = session.worker or self._pool.start_pinned(session)
            if worker is None:
                self._finish(session.waiting.popleft(), _too_many_stateful())
                return True
            return len(worker.in_flight) < schedule.STATEFUL_AHEAD_CALLS and self._send(worker, session)
        placement = schedule.place(session, self._pool.shared.values(), limit=self._pool.limit)
        if isinstance(placement, schedule.Evict):
            self._pool.let_go(placement.worker)
            placement = schedule.StartWorker()
        if isinstance(placement, schedule.StartWorker):
            placement = self._pool.start(session.installed)
        return placement is not None and self._send(placement, session)

    def _send(self, worker: WorkerRecord, session: SessionRecord) -> bool:
        record = session.waiting[0]
        is_first = session.number not in worker.known
        try:
            is_sent = worker.link.send_call(
                record.number,
                session.number,
                record.request,
                record.blobs(),
                session.definition if is_first else None,
                session.checkpoint if is_first else None,
            )
        except FlameError as error:  # no memory for a body that is too long for a packet
            self._finish(session.waiting.popleft(), Outcome(TaskState.FAILED, error=error))
            return True
        if not is_sent:
            return False
        session.waiting.popleft()
        record.carried_definition = is_first
        worker.known.add(session.number)
        worker.add(record)
        if len(worker.in_flight) == 1:
            _head_runs(worker)
        return True

    def take_over_backlogs(self, now_s: float) -> None:
        """A worker is idle while calls queue behind one that takes longer than was expected: take those back."""
        self.recheck_at_s = None
        for idle in list(self._pool.shared.values()):
            if not idle.in_flight and not idle.is_leaving:
                busy = schedule.straggling(idle, self._pool.shared.values(), now_s=now_s)
                if busy is not None:
                    self._take_back(busy)
                    return

    def _take_back(self, worker: WorkerRecord) -> None:
        """Calls that the worker has not picked up yet go back to the front of their queues."""
        for record in reversed(worker.taken_back(set(worker.link.take_back()))):
            if record.carried_definition:
                worker.known.discard(record.session.number)
            self._put_back(record)

    def _put_back(self, record: CallRecord) -> None:
        record.worker = None
        record.completion.started_s = 0.0
        if record.completion.state is not TaskState.PENDING:
            record.completion.enter(TaskState.PENDING)
        record.session.waiting.appendleft(record)
        self._make_ready(record.session)

    # --- calls end -------------------------------------------------------------------------------------------------

    def take_report(self, head: frames.ResultHead, body: bytes) -> None:
        """A worker reports how its oldest call ended."""
        worker = self._pool.get(head.worker_id)
        if worker is None:
            return
        try:
            report = worker.link.read_report(head, body)
        except OSError as error:  # no descriptor left to receive a big result: the call cannot be answered
            logger.debug("report lost worker=%d error=%s", head.worker_id, error)
            self._pool.kill(worker)
            return
        record = worker.answered()
        if record.number != head.call_number:
            raise AssertionError(f"worker {worker.id} answered call {head.call_number} instead of {record.number}")
        self._pool.has_answered(worker)
        self._start_failures.pop(worker.installed, None)
        session = record.session
        session.learn_duration(head.duration_s)
        if report.new_state is not None:
            session.checkpoint = report.new_state
            session.unsaved_because = ""
            self._budget.admit(report.new_state)
        if report.warning:
            session.unsaved_because = report.warning
        if worker.in_flight:
            _head_runs(worker)
        else:
            worker.idle_since_s = time.monotonic()
            self._has_new_idle = True
            if worker.is_leaving:
                worker.link.send_leave()
        self._budget.admit(report.body)
        outcome = (
            _cancelled(record, "it was interrupted.", report.output)
            if head.status == frames.CANCELLED
            else Outcome(
                TaskState.SUCCEED if head.status == frames.OK else TaskState.FAILED,
                value=report.body if head.status == frames.OK else None,
                failure=None if head.status == frames.OK else report.body,
                output=report.output,
                duration_s=head.duration_s,
                warning=report.warning,
            )
        )
        self._finish(record, outcome)

    def _finish(self, record: CallRecord, outcome: Outcome) -> None:
        """The call has ended: tell its session, then everybody who waits. The one place that completes futures."""
        session, completion = record.session, record.completion
        session.live.pop(completion.task_id, None)
        session.ended[outcome.state] += 1
        record.dependencies = []
        completion.complete(outcome, self._call_back)
        if completion.task_id not in session.kept:
            session.history.append(Ended.of(completion, record.input))
        if session.state is SessionState.CLOSED and not session.live:
            self._forget(session)

    def _cancel_here(self, record: CallRecord, why: str) -> None:
        self._finish(record, _cancelled(record, why))

    def handle_death(self, death: Death) -> None:
        """A worker is gone: one call is its victim, the others run elsewhere, a stateful session gets a successor."""
        session = death.worker.session
        if session is not None and session.worker is death.worker:
            session.worker = None
            session.lost_because = session.unsaved_because
        for record in reversed(death.others):
            self._put_back(record)
        if death.victim is not None:
            self._handle_victim(death.victim, death)
        if session is not None and session.lost_because:
            for record in list(session.live.values()):
                _drop_waiting(record)
                self._finish(record, _state_lost(session))
        if death.others and death.victim is None and not death.worker.has_begun and not death.worker.is_leaving:
            self._count_start_failure(death)

    def _handle_victim(self, record: CallRecord, death: Death) -> None:
        if record.is_cancel_asked:
            self._finish(record, _cancelled(record, "it did not react, so its worker was killed.", death.output))
        elif record.attempt < record.retries:
            record.attempt += 1
            logger.debug("retry session=%s task=%s", record.session.id, record.completion.task_id)
            self._put_back(record)
        else:
            error = WorkerLost(record.completion.name, death.pid, death.exit_code)
            self._finish(record, Outcome(TaskState.FAILED, error=error, output=death.output))

    def _count_start_failure(self, death: Death) -> None:
        """Workers that end before their first call must not be started for ever."""
        installed = death.worker.installed
        count = self._start_failures[installed] = self._start_failures.get(installed, 0) + 1
        if count < schedule.START_FAILURES:
            return
        del self._start_failures[installed]
        for session in list(self.sessions.values()):
            for record in list(session.live.values()) if session.installed is installed else ():
                if record.worker is None:
                    _drop_waiting(record)
                    error = WorkerLost(f"the start of {record.completion.name}", death.pid, death.exit_code)
                    self._finish(record, Outcome(TaskState.FAILED, error=error, output=death.output))

    # --- commands --------------------------------------------------------------------------------------------------

    def cancel(self, completion: Completion) -> bool:
        """Begin to cancel; False when the call has ended already."""
        session = self.sessions.get(completion.session_id)
        record = None if session is None else session.live.get(completion.task_id)
        if record is None:
            return False
        if record.worker is not None and record.worker.in_flight[0] is not record:
            self._take_back(record.worker)
        if record.worker is None:
            _drop_waiting(record)
            self._cancel_here(record, "it was cancelled before it ran.")
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
                    _drop_waiting(record)
                    self._cancel_here(record, "its service was closed before it ran.")
        if cancel:
            for record in list(session.live.values()):
                self.cancel(record.completion)
        if not session.live:
            self._forget(session)

    def _forget(self, session: SessionRecord) -> None:
        """A closed session without calls: free what it holds here and in the workers."""
        if session.worker is not None:
            self._pool.let_go(session.worker)
        session.checkpoint = None
        for worker in self._pool.shared.values():
            if session.number in worker.known:
                worker.known.discard(session.number)
                worker.link.send_forget(session.number)

    def warm_up(self, session: SessionRecord) -> None:
        """Start the workers that the session asked for, before its first call."""
        if session.spec.is_stateful:
            self._pool.start_pinned(session)
        else:
            self._pool.warm_up(session.installed, session.spec.warmup)

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
                self._pool.let_go(worker)
        return is_quiet

    def set_waiting(self, worker_id: int, is_waiting: bool) -> None:
        """A worker's call begins or ends to wait for other calls: meanwhile another worker may run."""
        worker = self._pool.shared.get(worker_id)
        if worker is not None and worker.in_flight:
            worker.is_waiting = is_waiting
            if is_waiting:
                self._take_back(worker)

    def end_all(self, error: FlameError | None) -> None:
        """Every call gets an answer, now and later: cancelled, or failed when the engine itself has."""
        self._failure = error or self._failure
        for session in self.sessions.values():
            session.state = SessionState.CLOSED
            session.waiting.clear()
            for record in list(session.live.values()):
                ended = _cancelled(record, "flamepy was shut down.") if error is None else None
                record.completion.complete(ended or Outcome(TaskState.FAILED, error=error), self._call_back)
            session.live.clear()
        self.sessions.clear()


def _head_runs(worker: WorkerRecord) -> None:
    """The oldest call in flight is the one that the worker runs now."""
    worker.head_since_s = time.monotonic()
    completion = worker.in_flight[0].completion
    completion.started_s = time.time()
    completion.enter(TaskState.RUNNING)


def _waits_for_arguments(session: SessionRecord) -> bool:
    return session.spec.is_stateful and bool(session.waiting) and session.waiting[0].unresolved > 0


def _drop_waiting(record: CallRecord) -> None:
    if record in record.session.waiting:
        record.session.waiting.remove(record)


def _cancelled(record: CallRecord, why: str, output: bytes = b"") -> Outcome:
    message = f"{record.completion.name} was cancelled: {why} Call it again if you want its result."
    return Outcome(TaskState.CANCELLED, error=CallCancelled(message), output=output)


def _state_lost(session: SessionRecord) -> Outcome:
    return Outcome(TaskState.FAILED, error=StateLost(session.spec.name or session.id, session.lost_because))


def _too_many_stateful() -> Outcome:
    message = (
        f"there are {MAX_STATEFUL} stateful services already, each with a process of its own: "
        "close some with .close(), or use autoscale=True where no state is shared."
    )
    return Outcome(TaskState.FAILED, error=FlameError(FlameErrorCode.INVALID_STATE, message))
