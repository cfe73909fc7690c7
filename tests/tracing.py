# SPDX-License-Identifier: Apache-2.0
"""Interrupts a function exactly at its n-th line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import Any


def interrupted_at(number: int, function: Callable[[], object], counts: Callable[[FrameType], bool]) -> bool:
    """Was there an n-th line of a frame that ``counts``? Then KeyboardInterrupt was raised before it was run.

    It runs in a thread of its own: where a trace function raises at the end of an ``except`` block, Python 3.11 and
    later take the handled exception for still being handled, in this thread for ever after.
    """
    interrupt = _Interrupt(number, counts)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(interrupt.run, function).result()
    return interrupt.left <= 0


class _Interrupt:
    def __init__(self, number: int, counts: Callable[[FrameType], bool]) -> None:
        self.left, self._counts = number, counts

    def run(self, function: Callable[[], object]) -> None:
        sys.settrace(self._trace)
        try:
            function()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)

    def _trace(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "line" and self._counts(frame):
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt
        return self._trace
