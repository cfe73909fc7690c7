# SPDX-License-Identifier: Apache-2.0
"""Cancelling a running call: a word on the status table says which call, SIGINT says look.

The interrupt is raised only while that very call runs user code, so it can never hit another call.
"""

from __future__ import annotations

import signal

from flamepy.protocol.frames import INTERRUPTED


class Interrupt:
    """``with interrupt:`` user code runs in here, and a cancel may raise KeyboardInterrupt.

    slot: this worker's words of the status table.
    """

    __slots__ = ("_current", "_is_allowed", "_slot")

    def __init__(self, slot: memoryview) -> None:
        self._slot = slot
        self._is_allowed = False
        self._current = 0
        signal.signal(signal.SIGINT, self._on_signal)

    def begin(self, number: int) -> None:
        """This call is the one that may be interrupted from now on; 0 = none."""
        self._current = number

    def was_asked(self) -> bool:
        """Has the engine asked to interrupt the current call?"""
        return self._slot[INTERRUPTED] == self._current

    def raise_if_asked(self) -> None:
        """Inside the block: raise the interrupt, also when the code has caught it once."""
        if self._slot[INTERRUPTED] == self._current:
            self._is_allowed = False
            raise KeyboardInterrupt

    def __enter__(self) -> None:
        self._is_allowed = True
        self.raise_if_asked()  # the signal came before the block

    def __exit__(self, *_: object) -> None:
        self._is_allowed = False

    def _on_signal(self, *_: object) -> None:
        if self._is_allowed and self.was_asked():
            raise KeyboardInterrupt
