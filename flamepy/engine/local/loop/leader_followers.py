# SPDX-License-Identifier: Apache-2.0
"""Who runs the event loop: its own thread, or the thread that waits for a result.

A waiter that reads the results itself saves two changes of thread per call, which is most of a round trip. There is
one leader lock; the thread that holds it is the one writer. The engine's thread gives it up when a thread waits, and
takes it back when there was no leader for a moment, so calls also go on while the caller computes.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py without its enum conversions, which cost more than the calls
import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from flamepy.clock import monotonic_s

_GIVE_UP_S = 1.0  # the engine's thread is in a long iteration: wait for it without leading
_SOON_S = 0.01  # for who does not wait anyway
HANDOVER_S = 0.002  # a caller that waits again within this time keeps the lead
_LONG_NAP_S = 0.2  # while a waiter leads for long; it wakes the engine's thread when it leaves
_SHORT_NAPS = 5  # then the nap becomes a long one
_getsignal = _signal.getsignal
_setsignal = _signal.signal
_SIGINT = int(signal.SIGINT)
_MAIN_THREAD = threading.main_thread().ident
_OTHER_SIGNALS = tuple(sorted(int(each) for each in signal.valid_signals() - {signal.SIGINT}))
_LOOKED_RECENTLY_S = 0.02


class LeaderFollowers:
    """The leader lock and its rules. ``wake`` makes a leader that sleeps look up."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._leader_lock = threading.Lock()
        self._wake = wake
        self._nap = threading.Lock()
        self._nap.acquire()
        self._is_engine_leading = False
        self._is_napping_long = False
        self._is_asked = False
        self._left_at_s = 0.0
        self.is_wanted = False  # a waiter wants the lead: the engine's thread must leave
        self.engine_is_away = False  # its thread runs a callback of others, which may wait for anything
        self.followers: dict[int, None] = {}  # threads that wait for a result without leading

    # --- the engine's thread ---------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def engine_is_leader(self) -> Iterator[None]:
        """Wait until there was no leader for HANDOVER_S, then hold the leader lock."""
        naps = 0
        while True:
            left_at_s = self._left_at_s
            # a lock is not fair: without the look at is_wanted this thread could take the leader lock that it gave away
            if not self.is_wanted and (self._is_asked or monotonic_s() - left_at_s >= HANDOVER_S):
                if self._leader_lock.acquire(blocking=False):
                    break
                naps += 1
            self._is_napping_long = naps > _SHORT_NAPS
            has_been_called = self._nap.acquire(timeout=_LONG_NAP_S if self._is_napping_long else HANDOVER_S)
            if has_been_called or self._left_at_s != left_at_s:
                naps = 0  # leaders come and go: be there soon when the last one has gone
        self._is_asked = self._is_napping_long = False
        self._is_engine_leading = True
        try:
            yield
        finally:
            self._is_engine_leading = False
            self._left_at_s = monotonic_s()
            self._leader_lock.release()

    def call_engine(self) -> None:
        """Have the engine's thread take over as soon as there is no leader."""
        self._is_asked = True
        self._end_nap()

    def _end_nap(self) -> None:
        with contextlib.suppress(RuntimeError):  # it has been called already
            self._nap.release()

    # --- other threads ---------------------------------------------------------------------------------------------

    def take_for_a_step(self) -> bool:
        """Take the leader lock if it is free."""
        return self._leader_lock.acquire(blocking=False)

    def take_to_wait(self, *, is_engine: bool = False) -> bool:
        """Take the leader lock in order to wait, from the engine's thread if need be; False when another waiter leads.

        is_engine: it is the engine's thread itself that waits, in a callback.
        """
        if self.followers and not (is_engine or self.engine_is_away):
            return False  # several waiters are served best by the engine's thread
        return self._take_over(_GIVE_UP_S)

    def take_over_soon(self) -> bool:
        """Take the leader lock, from the engine's thread if need be; False when a waiter leads, or after a while."""
        return self._take_over(_SOON_S)

    def _take_over(self, give_up_s: float) -> bool:
        if self._leader_lock.acquire(blocking=False):
            return True
        if not self._is_engine_leading or self.is_wanted:
            return False
        self.is_wanted = True
        try:
            self._wake()
            return self._leader_lock.acquire(timeout=give_up_s)
        finally:
            self.is_wanted = False

    def release(self, *, is_needed: bool) -> None:
        """Give the leader lock back. ``is_needed``: other threads rely on results being read from now on."""
        self._left_at_s = monotonic_s()
        self._leader_lock.release()
        if is_needed or self.followers:
            self.call_engine()
        elif self._is_napping_long:
            self._is_napping_long = False
            self._end_nap()


class EngineThreadLeads(LeaderFollowers):
    """The plain twin: no thread but the engine's runs the loop, unless one of its own callbacks waits."""

    def take_for_a_step(self) -> bool:
        return False

    def take_to_wait(self, *, is_engine: bool = False) -> bool:
        return is_engine and super().take_to_wait(is_engine=True)

    def take_over_soon(self) -> bool:
        return False


class HeldBackInterrupt:
    """Holds SIGINT back while the main thread leads: a KeyboardInterrupt inside an iteration would tear its state.

    The interrupt wakes the leader; ``__exit__`` delivers it to the handler that was there.
    """

    __slots__ = ("_handler", "_wake", "is_pending")

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._handler: Callable[[int, FrameType | None], object] | None = None
        self.is_pending = False

    def __enter__(self) -> HeldBackInterrupt:
        if threading.get_ident() == _MAIN_THREAD:
            handler = _getsignal(_SIGINT)
            if callable(handler):
                self._handler = handler
                _setsignal(_SIGINT, self._note)
        return self

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.is_pending = True
        self._wake()

    def __exit__(self, *_: object) -> None:
        handler = self._handler
        if handler is not None:
            _setsignal(_SIGINT, handler)
            if self.is_pending:
                handler(_SIGINT, None)


class _Handlers:
    """What was found when the signals of this process were looked at last."""

    dispositions: tuple[object, ...] = ()
    are_none = False
    looked_at_s = 0.0


def may_be_leader(*, for_a_step: bool = False) -> bool:
    """Can nothing but an interrupt break into this thread? Python runs other signals' handlers in the main thread.

    for_a_step: for some microseconds only; then what was found a moment ago is good enough, because looking at all
    signals takes as long as a system call. A handler that was set since, and raises in that step, costs one call
    (``containment``).
    """
    if threading.get_ident() != _MAIN_THREAD:
        return True
    now_s = monotonic_s()
    if for_a_step and now_s - _Handlers.looked_at_s < _LOOKED_RECENTLY_S:
        return _Handlers.are_none
    dispositions = tuple(map(_getsignal, _OTHER_SIGNALS))  # a loop would take four times as long
    if dispositions != _Handlers.dispositions:
        _Handlers.are_none = not any(map(callable, dispositions))
        _Handlers.dispositions = dispositions
    _Handlers.looked_at_s = now_s
    return _Handlers.are_none
