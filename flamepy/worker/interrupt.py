# SPDX-License-Identifier: Apache-2.0
"""Cancelling a running call: a word on the board says which call, SIGINT says look.

The interrupt is raised only while that very call runs user code, so it can never hit another call.
"""

from __future__ import annotations

import contextlib
import mmap
import signal
from collections.abc import Iterator

from flamepy.codec.frames import SLOT, WORD


class Interrupt:
    """This worker's slot on the board, and the handler of SIGINT."""

    def __init__(self, board: mmap.mmap, slot: int) -> None:
        self._board = board
        self._begun_at = slot * SLOT.size
        self._asked_at = self._begun_at + WORD.size
        self._is_allowed = False
        self._current = 0
        signal.signal(signal.SIGINT, self._on_signal)

    def begin(self, call_number: int) -> None:
        """Note on the board that this call has begun: if the worker dies now, the call is the victim."""
        self._current = call_number
        WORD.pack_into(self._board, self._begun_at, call_number)

    def end(self) -> None:
        self._current = 0

    def was_asked(self, call_number: int) -> bool:
        """Has the engine asked to interrupt this call?"""
        asked: int = WORD.unpack_from(self._board, self._asked_at)[0]
        return asked == call_number

    @contextlib.contextmanager
    def allowed(self) -> Iterator[None]:
        """User code runs in here: a cancel may raise KeyboardInterrupt."""
        self._is_allowed = True
        try:
            if self.was_asked(self._current):  # the signal came before the block
                raise KeyboardInterrupt
            yield
        finally:
            self._is_allowed = False

    def _on_signal(self, *_: object) -> None:
        if self._is_allowed and self.was_asked(self._current):
            raise KeyboardInterrupt
