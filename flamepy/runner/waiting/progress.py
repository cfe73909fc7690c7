# SPDX-License-Identifier: Apache-2.0
"""Waiting for many calls at once, and showing how far they are: what is behind ``Runner.wait``.

In a terminal the waiting thread itself draws a bar. A notebook has displays of its own, and registers one here.
"""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from flamepy.clock import monotonic_s
from flamepy.runner.waiting.awaited import Awaited
from flamepy.runner.waiting.hooks import waiting_for

APPEARS_AFTER_S = 0.5  # a wait that is over sooner shows nothing
_TICK_S = 0.5  # how often the bar tells the time while no call ends


class ProgressDisplay(Protocol):
    def __call__(self, futures: Sequence[Any], /) -> object:
        """Begin to show what becomes of ``futures``, which are ObjectFutures, and return at once."""
        ...


_displays: list[ProgressDisplay] = []  # of the process, as its terminal is


def show_progress_with(display: ProgressDisplay) -> Callable[[], None]:
    """Let ``Runner.wait(..., progress=True)`` use ``display`` instead of a bar in the terminal. Returns the undo.

    The one that was registered last counts.
    """
    _displays.append(display)

    def undo() -> None:
        if display in _displays:
            _displays.remove(display)

    return undo


def wait_for_all(futures: Sequence[Awaited], timeout_s: float | None, *, progress: bool) -> bool:
    """Wait until all calls have ended, however they ended; False when ``timeout_s`` was over first."""
    deadline_s = None if timeout_s is None else monotonic_s() + timeout_s
    with waiting_for(futures):
        if progress and not _displays:
            return _wait_and_draw(futures, deadline_s)
        if progress:
            _displays[-1](futures)
        return all(each.wait(_left_s(deadline_s)) for each in futures)


def _wait_and_draw(futures: Sequence[Awaited], deadline_s: float | None) -> bool:
    ended: queue.SimpleQueue[Awaited] = queue.SimpleQueue()
    for each in futures:
        each.add_done_callback(ended.put)
    failed = 0
    with _bar(futures) as bar:
        for _ in futures:
            future = _next_ended(ended, deadline_s, bar)
            if future is None:
                return False
            if future.state in {"failed", "lost"}:
                failed += 1
                bar.set_postfix_str(f"{failed} failed", refresh=False)
                if failed == 1:  # at once, because it often says that waiting for the others is in vain
                    bar.delay = 0.0  # writing draws the bar: from here on it has to be kept up to date
                    bar.write(f"#{future.id} failed: {_why(future)}", file=sys.stderr)
            bar.update()
    return True


def _why(future: Awaited) -> str:
    from flamepy.runner.waiting.user_errors import told

    error = future.exception(0)
    return "" if error is None else told(error)


def _next_ended(ended: queue.SimpleQueue[Awaited], deadline_s: float | None, bar: Any) -> Awaited | None:
    while True:
        left_s = _left_s(deadline_s)
        try:
            return ended.get(timeout=_TICK_S if left_s is None else min(left_s, _TICK_S))
        except queue.Empty:
            if left_s is not None and left_s <= _TICK_S:
                return None
            bar.update(0)


def _bar(futures: Sequence[Awaited]) -> Any:
    from tqdm.std import tqdm  # here, because few waits show anything

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        """Without the thread and the process lock that tqdm has for bars that several draw: one thread draws this."""

        monitor_interval = 0
        _lock = threading.RLock()

    names = list(dict.fromkeys(each.name for each in futures))
    return Bar(
        total=len(futures),
        desc=names[0] if len(names) == 1 else "calls",
        unit="call",
        delay=APPEARS_AFTER_S,
        miniters=0,  # draw by time, also when no call has ended
        file=sys.stderr,
    )


def _left_s(deadline_s: float | None) -> float | None:
    return None if deadline_s is None else max(deadline_s - monotonic_s(), 0.0)
