# SPDX-License-Identifier: Apache-2.0
"""What the result pipe brings: a call has ended, or the worker itself has. The engine's thread only."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from functools import partial

from flamepy.cache.budget import SegmentBudget
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.engine.local import schedule
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.link.nonblocking import PipeReader
from flamepy.engine.local.loop.completions import Completions, cancelled, failed, state_lost
from flamepy.engine.local.loop.containment import Containment
from flamepy.engine.local.loop.dispatcher import Dispatcher
from flamepy.engine.local.records import CallRecord, SessionRecord, WorkerRecord
from flamepy.engine.local.workers.pool import Pool, WorkerExit
from flamepy.errors import FlameError, FlameErrorCode, WorkerLost
from flamepy.protocol import frames
from flamepy.protocol.report import Report

logger = logging.getLogger(__name__)

_READ_BYTES = 65536  # larger reads cost up to 30 us more (measured)
_REPORTS = frozenset({frames.RESULT, frames.RESULT_AWAY})
_UNREADABLE = (
    "what workers report cannot be read any more ({}), because a call, or a process that it started, wrote into "
    "descriptors that it did not open, or because memory is full"
)


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
        if worker is None:
            return
        if worker.fault is not None and (head.kind == frames.RESULT_AWAY or worker.session is not None):
            return  # its link may be out of step, or it is ahead of the state that the engine knows
        if not _is_answered(worker, head):
            if worker.fault is None:
                self._contain.end_worker(worker, _answered_unasked(worker))
            return
        damage, report = None, None
        try:
            report = worker.link.read_report(head, body)
        except FlameError as error:
            damage = error  # as many files are open as may be: the answer is lost, the worker is not
        record = self._note_answer(worker)
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

    def _note_answer(self, worker: WorkerRecord) -> CallRecord:
        record = worker.answered()
        self._answered[worker] = None
        self._pool.has_answered(worker, was_interrupted=record.is_cancel_asked)
        if self._start_failures:
            self._start_failures.pop(worker.installed, None)
        return record

    def lose(self, head: frames.ResultHead, error: Exception) -> None:
        """The answer could not be taken: its call ends with ``error``. The answers after it are taken."""
        worker = self._pool.get(head.worker_id)
        if worker is not None and _is_answered(worker, head):
            self._contain.end_call(self._note_answer(worker), error)
        else:
            self._contain.end_step(error)
        if worker is not None and (head.kind == frames.RESULT_AWAY or head.flags & frames.HAS_NEW_STATE):
            self._contain.end_worker(worker, error)  # see ``take``

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
        self._dispatcher.put_back_all(exited.others)
        faults: list[tuple[CallRecord, Exception]] = []
        for record in exited.victims:
            try:
                self._take_victim(record, exited)
            except Exception as error:  # noqa: BLE001 - it ends this call
                faults.append((record, error))
        for record, fault in faults:
            self._contain.end_call(record, fault)
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


class ResultReader:
    """Reads frames, and hands each to what it is about; an exception there loses no other frame.

    give_up: ends the loop. post: has a command run in the next iteration.
    """

    def __init__(
        self,
        fd: int,
        reports: Reports,
        pool: Pool,
        containment: Containment,
        *,
        give_up: Callable[[BaseException], None],
        post: Callable[[Callable[[], object]], None],
    ) -> None:
        self._reader = PipeReader(fd, _READ_BYTES)
        self._rest = b""
        self._reports = reports
        self._pool = pool
        self._contain = containment
        self._give_up = give_up
        self._post = post

    def read(self) -> None:
        """Take all that is in the pipe."""
        while True:
            try:
                data = self._reader.read()
                found, self._rest = frames.split_frames(self._rest + data if self._rest else data)
                is_empty = len(data) < _READ_BYTES
                if is_empty and self._rest:  # workers write whole frames, and all that they wrote has been read
                    raise ValueError(f"{len(self._rest)} bytes in it are no whole frame")
            except Exception as error:  # noqa: BLE001 - answers are lost with it, whose calls would never end
                self._give_up(FlameError(FlameErrorCode.INTERNAL, _UNREADABLE.format(error)))
                return
            for head, body in found:
                try:
                    if head.kind in _REPORTS:
                        self._reports.take(head, body)
                    elif head.kind != frames.WAKE:
                        self._take_word_of_zygote(head)
                except Exception as error:  # noqa: BLE001 - it ends what this frame is about
                    if head.kind in _REPORTS:
                        self._reports.lose(head, error)
                    else:
                        self._contain.end_step(error)
                        self._post(partial(self._take_word_of_zygote, head))  # doing it twice does no harm
            if is_empty:
                self._reports.settle()
                return

    def _take_word_of_zygote(self, head: frames.ResultHead) -> None:
        if head.kind == frames.WORKER_EXIT:
            exited = self._pool.remove_exited(head.worker_id, pid=head.number, exit_code=int(head.duration_s))
            if exited is not None:
                self._reports.take_exit(exited)
        else:
            self._pool.set_pid(head.worker_id, head.number)


def _is_answered(worker: WorkerRecord, head: frames.ResultHead) -> bool:
    """Is this the answer to the call that the worker runs, as far as is known here?"""
    return bool(worker.in_flight) and worker.in_flight[0].number == head.number


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
