# SPDX-License-Identifier: Apache-2.0
"""A clock that goes by hand."""

from __future__ import annotations


class ManualClock:
    """Called, it tells the time in seconds, as ``time.monotonic`` does; it stands still until the test moves it.

    Args:
        now_s: Where it begins, in seconds; by default at 0.

    Example:
        >>> from flamepy.testing import ManualClock
        >>> clock = ManualClock(100.0)
        >>> clock.advance(2.5)
        >>> clock()
        102.5
    """

    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """The time, in seconds."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Let time pass.

        Args:
            seconds: How much.
        """
        self.now_s += seconds
