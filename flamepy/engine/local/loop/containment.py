# SPDX-License-Identifier: Apache-2.0
"""What an unexpected exception costs: the call, or the worker, that the event loop was busy with; never the engine.

Each step of the loop that is about one call, one worker or one connection hands its exception to this module. When
the same trouble comes again and again, the loop gives up instead: its calls get the reason, and the next use of
flamepy starts a new engine. The engine's thread only.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from flamepy.clock import monotonic_s
from flamepy.engine.local.loop.completions import Completions, failed
from flamepy.engine.local.records import CallRecord, WorkerRecord
from flamepy.engine.local.workers.pool import Pool
from flamepy.errors import EngineFailed, FlameError, as_fault

logger = logging.getLogger(__name__)

_MOST_FAULTS, _FAULTS_WITHIN_S = 100, 5.0  # more of them are one that repeats itself: the loop would only turn round it


class Containment:
    """Ends what an exception was about. ``put_right``: finds calls that were lost on their way (the dispatcher's)."""

    def __init__(self, pool: Pool, completions: Completions) -> None:
        self._pool = pool
        self._completions = completions
        self._fault_times_s: deque[float] = deque(maxlen=_MOST_FAULTS)
        self.put_right: Callable[[FlameError], None] = lambda _: None

    def end_call(self, record: CallRecord, error: Exception) -> None:
        """The step was about this call: it ends with ``error``."""
        fault = self._note(error)
        self._completions.give_up(record, failed(fault))
        self.put_right(fault)

    def end_worker(self, worker: WorkerRecord, error: Exception) -> None:
        """The step was about this worker, or it broke the protocol: kill it. The call that it has begun ends with
        ``error`` when its end is known; what it has not begun runs elsewhere.
        """
        fault = self._note(error)
        worker.fault = worker.fault or fault
        self._pool.discard(worker)
        self.put_right(fault)

    def end_step(self, error: Exception) -> None:
        """The step was about nothing that a caller waits for, or about several things: calls that it lost end."""
        self.put_right(self._note(error))

    def _note(self, error: Exception) -> FlameError:
        """Log it. Raises a FlameError when there were too many: then the loop gives up."""
        if isinstance(error, FlameError):  # known trouble, such as a lack of descriptors: it says what to do
            logger.debug("step failed error=%s", error)
            return error
        logger.error("unexpected error in the engine", exc_info=error)
        now_s = monotonic_s()
        times_s = self._fault_times_s
        times_s.append(now_s)
        if len(times_s) == _MOST_FAULTS and now_s - times_s[0] < _FAULTS_WITHIN_S:
            raise as_engine_failure(error) from error
        return as_fault(error)


def as_engine_failure(error: BaseException) -> EngineFailed:
    """Why the loop cannot go on, for all who wait."""
    if isinstance(error, EngineFailed):
        return error
    if isinstance(error, FlameError):
        reason = str(error).rstrip(".")
    else:
        logger.error("engine failed", exc_info=error)
        reason = repr(error)
    failure = EngineFailed(f"the engine had to end: {reason}. Create the Runner again: that starts a new engine.")
    failure.__cause__ = error
    return failure
