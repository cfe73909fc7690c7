# SPDX-License-Identifier: Apache-2.0
"""The board: a page or two of shared memory with one slot per worker.

A worker notes the call that it has begun; the engine notes the call that the worker must interrupt.
"""

from __future__ import annotations

import mmap
import os

from flamepy.cache.segment import default_places
from flamepy.codec.frames import BOARD_SLOTS, SLOT, WORD


class Board:
    """Used by the engine's thread; each word has one writer."""

    def __init__(self) -> None:
        self._fd = default_places()[0](BOARD_SLOTS * SLOT.size)
        self._memory = mmap.mmap(self._fd, 0)
        self._free = list(range(BOARD_SLOTS - 1, -1, -1))

    def fileno(self) -> int:
        return self._fd

    def take(self) -> int | None:
        """A cleared slot for a new worker; None when there is none left."""
        if not self._free:
            return None
        slot = self._free.pop()
        SLOT.pack_into(self._memory, slot * SLOT.size, 0, 0)
        return slot

    def give_back(self, slot: int) -> None:
        self._free.append(slot)

    def begun(self, slot: int) -> int:
        """The number of the call that the worker has begun last, 0 = none."""
        number: int = WORD.unpack_from(self._memory, slot * SLOT.size)[0]
        return number

    def ask_to_interrupt(self, slot: int, call_number: int) -> None:
        WORD.pack_into(self._memory, slot * SLOT.size + WORD.size, call_number)

    def close(self) -> None:
        self._memory.close()
        os.close(self._fd)
