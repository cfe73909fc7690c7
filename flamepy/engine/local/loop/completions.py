# SPDX-License-Identifier: Apache-2.0
"""The end of a call: its session notes it, then all who wait are told. The engine's thread only."""

from __future__ import annotations

from collections.abc import Callable

from flamepy.core.session import SessionState
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.engine.local.records import CallRecord, Ended, SessionRecord
from flamepy.engine.local.workers.pool import MAX_STATEFUL, Pool
from flamepy.errors import CallCancelled, FlameError, FlameErrorCode, StateLost
from flamepy.protocol.commands import Forget


class Completions:
    """The one place that completes futures.

    call_back: takes callbacks of other people's code, which must not run in the middle of an iteration.
    """

    def __init__(self, pool: Pool, call_back: Callable[[Callable[[], object]], None]) -> None:
        self._pool = pool
        self._call_back = call_back

    def finish(self, record: CallRecord, outcome: Outcome) -> None:
        """The call has ended in this way; a second outcome of the same call is ignored.

        It is live until its future is complete: so it is found if that fails, and can be finished again.
        """
        session, completion = record.session, record.completion
        is_first = completion.outcome is None
        completion.complete(outcome, self._call_back)
        record.dependencies = []
        if session.live.pop(completion.task_id, None) is None and not is_first:
            return
        session.ended[completion.state] += 1
        if completion.task_id not in session.kept:
            session.history.append(Ended.of(completion, record.input))
        if session.state is SessionState.CLOSED and not session.live:
            self.forget(session)

    def give_up(self, record: CallRecord, outcome: Outcome) -> None:
        """The call ends although it waits for a worker."""
        if record in record.session.waiting:
            record.session.waiting.remove(record)
        self.finish(record, outcome)

    def end_all(self, session: SessionRecord, error: FlameError | None) -> None:
        """Every call of the session gets an answer: cancelled, or ``error``."""
        session.state = SessionState.CLOSED
        session.waiting.clear()
        for record in list(session.live.values()):
            outcome = cancelled(record, "flamepy was shut down.") if error is None else failed(error)
            record.completion.complete(outcome, self._call_back)
        session.live.clear()

    def forget(self, session: SessionRecord) -> None:
        """A closed session without calls: free what it holds here and in the workers."""
        if session.worker is not None:
            self._pool.retire(session.worker)
        session.checkpoint = session.definition = None
        for worker in self._pool.shared.values():
            if session.number in worker.known:
                worker.known.discard(session.number)
                worker.link.tell(Forget(session.number))


def failed(error: FlameError, output: bytes = b"") -> Outcome:
    """The outcome with this error, which is kept for long: it must hold no frames.

    They are those of the thread that ran the loop, often the caller's own, with all of the caller's variables.
    """
    raised: BaseException | None = error
    while raised is not None:
        raised.__traceback__ = None
        raised = raised.__cause__ or raised.__context__
    return Outcome(TaskState.FAILED, error=error, output=output)


def cancelled(record: CallRecord, why: str, output: bytes = b"") -> Outcome:
    message = f"{record.completion.name} was cancelled: {why} Call it again if you want its result."
    return Outcome(TaskState.CANCELLED, error=CallCancelled(message), output=output)


def state_lost(session: SessionRecord) -> Outcome:
    return failed(StateLost(session.spec.name or session.id, session.state_lost_reason))


def too_many_stateful() -> Outcome:
    message = (
        f"there are {MAX_STATEFUL} stateful services already, each with a process of its own: "
        "close some with .close(), or use autoscale=True where no state is shared."
    )
    return failed(FlameError(FlameErrorCode.INVALID_STATE, message))
