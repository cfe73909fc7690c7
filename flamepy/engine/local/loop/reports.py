# SPDX-License-Identifier: Apache-2.0
"""What workers tell: a call has ended, or the worker itself has. The engine's thread only."""

from __future__ import annotations

import logging
import time

from flamepy.cache.budget import SegmentBudget
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.engine.local import schedule
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.loop.completions import Completions, cancelled, failed, state_lost
from flamepy.engine.local.loop.containment import Containment
from flamepy.engine.local.loop.dispatcher import Dispatcher
from flamepy.engine.local.records import CallRecord, SessionRecord, WorkerRecord
from flamepy.engine.local.workers.pool import Pool, WorkerExit
from flamepy.errors import FlameError, FlameErrorCode, WorkerLost
from flamepy.protocol import frames
from flamepy.protocol.report import Report

logger = logging.getLogger(__name__)


class Reports:
    """Turns them into the ends of calls, and hands calls of lost workers back to the dispatcher."""

    def __init__(
        self,
        pool: Pool,
        budget: SegmentBudget,
        completions: Completions,
        dispatcher: Dispatcher,
        containment: Containment,
    ) -> None:
        self._contain = containment
        self._pool = pool
        self._budget = budget
        self._completions = completions
        self._dispatcher = dispatcher
        self._start_failures: dict[Installed, int] = {}
        self._answered: dict[WorkerRecord, None] = {}  # since the last ``settle``

    def take(self, head: frames.ResultHead, body: bytes) -> None:
        """A worker reports how its oldest call ended. ``settle`` afterwards."""
        worker = self._pool.get(head.worker_id)
        if worker is None or worker.fault is not None:
            return
        try:
            if not worker.in_flight or worker.in_flight[0].number != head.number:
                raise _answered_unasked(worker)
            damage, report = None, None
            try:
                report = worker.link.read_report(head, body)
            except FlameError as error:
                damage = error  # as many files are open as may be: the answer is lost, the worker is not
            record = worker.answered()
            self._pool.has_answered(worker, was_interrupted=record.is_cancel_asked)
            if self._start_failures:
                self._start_failures.pop(worker.installed, None)
            self._answered[worker] = None
        except Exception as error:  # noqa: BLE001 - it ends this worker and the call that it has begun
            self._contain.end_worker(worker, error)
            return
        try:
            if report is not None and record.is_cancel_asked and report.status != frames.CANCELLED:
                self._drop_answer(worker, record, report)
                return
            if report is not None:
                self._take_report(record, report)
                return
            assert damage is not None
            self._completions.finish(record, failed(damage))
            if head.flags & frames.HAS_NEW_STATE:  # the worker is ahead of the state that the engine knows
                self._contain.end_worker(worker, damage)
        except Exception as error:  # noqa: BLE001 - it ends this call
            self._contain.end_call(record, error)

    def _drop_answer(self, worker: WorkerRecord, record: CallRecord, report: Report) -> None:
        """The call ended by itself before the interrupt reached it; its caller was told that it is cancelled."""
        self._completions.finish(
            record, cancelled(record, "it was about to end; its value was dropped.", report.output)
        )
        if report.new_state is not None:  # the object has changed: its next worker begins with the state before
            self._pool.discard(worker)

    def _take_report(self, record: CallRecord, report: Report) -> None:
        session, completion = record.session, record.completion
        if not completion.started_s:  # it began and ended between two looks
            completion.started_s = time.time() - report.duration_s
        session.learn_duration(report.duration_s - report.importing_s)  # the next one imports nothing
        if report.new_state is not None or report.warning:
            self._note_state(session, report)
        if report.body.segment is not None:
            self._budget.admit(report.body)
        self._completions.finish(record, _outcome(record, report))

    def settle(self) -> None:
        """All reports that are here have been taken: see what their workers run now."""
        answered, self._answered = self._answered, {}
        for worker in answered:
            try:
                self._dispatcher.goes_on(worker)
            except Exception as error:  # noqa: BLE001 - it ends this worker and the call that it has begun
                self._contain.end_worker(worker, error)

    def _note_state(self, session: SessionRecord, report: Report) -> None:
        if report.new_state is not None:
            session.checkpoint = report.new_state
            session.unsaved_reason = ""
            self._budget.admit(report.new_state)
        if report.warning:
            session.unsaved_reason = report.warning

    def take_exit(self, exited: WorkerExit) -> None:
        """A worker is gone: one call is its victim, the others run elsewhere, a stateful session gets a successor."""
        self._answered.pop(exited.worker, None)
        session = exited.worker.session
        if session is not None and session.worker is exited.worker:
            session.worker = None
            session.state_lost_reason = session.unsaved_reason
        for record in reversed(exited.others):
            try:
                self._dispatcher.put_back(record)
            except Exception as error:  # noqa: BLE001 - it ends this call
                self._contain.end_call(record, error)
        for record in exited.victims:
            try:
                self._take_victim(record, exited)
            except Exception as error:  # noqa: BLE001 - it ends this call
                self._contain.end_call(record, error)
        if session is not None and session.state_lost_reason:
            for record in list(session.live.values()):
                self._completions.give_up(record, state_lost(session))
        if exited.others and not exited.victims and not exited.worker.has_begun and not exited.worker.is_leaving:
            self._count_start_failure(exited)

    def _take_victim(self, record: CallRecord, exited: WorkerExit) -> None:
        if record.is_cancel_asked:
            outcome = cancelled(record, "it did not react, so its worker was killed.", exited.output)
            self._completions.finish(record, outcome)
        elif record.attempt < record.retries:
            record.attempt += 1
            logger.debug("retry session=%s task=%s", record.session.id, record.completion.task_id)
            self._dispatcher.put_back(record)
        else:
            error = exited.worker.fault or WorkerLost(record.completion.name, exited.pid, exited.exit_code)
            self._completions.finish(record, failed(error, exited.output))

    def _count_start_failure(self, exited: WorkerExit) -> None:
        """Workers that end before their first call must not be started for ever."""
        installed = exited.worker.installed
        count = self._start_failures[installed] = self._start_failures.get(installed, 0) + 1
        if count < schedule.START_FAILURES:
            return
        del self._start_failures[installed]
        for session in list(self._dispatcher.sessions.values()):
            for record in list(session.live.values()) if session.installed is installed else ():
                if record.worker is None:
                    error = WorkerLost(f"the start of {record.completion.name}", exited.pid, exited.exit_code)
                    self._completions.give_up(record, failed(error, exited.output))


def _answered_unasked(worker: WorkerRecord) -> FlameError:
    running = worker.in_flight[0].completion.name if worker.in_flight else "no call"
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"worker {worker.pid} was ended: it answered out of turn while it ran {running}. A process that the code "
        "started writes to the worker's own descriptors: start processes with subprocess or multiprocessing.",
    )


def _outcome(record: CallRecord, report: Report) -> Outcome:
    if report.status == frames.CANCELLED:
        return cancelled(record, "it was interrupted.", report.output)
    said = report.output, report.duration_s, report.warning, report.errors, report.importing_s
    if report.status == frames.OK:
        return Outcome(TaskState.SUCCEED, report.body, None, None, None, *said)
    return Outcome(TaskState.FAILED, None, report.body, None, None, *said)
