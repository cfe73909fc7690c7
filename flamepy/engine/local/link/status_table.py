# SPDX-License-Identifier: Apache-2.0
"""The status table: a few pages of shared memory with one slot per worker.

A worker notes the call that it has begun; the engine notes the call that the worker must interrupt, and how often it
has recalled what the worker has not begun.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Container

from flamepy.cache.segment import default_places
from flamepy.protocol import fence
from flamepy.protocol.frames import CURRENT_CALL, INTERRUPTED, OUTPUT, RECALL_GENERATION, SLOT_WORDS, STATUS_SLOTS, WORD


class WorkerStatusTable:
    """Used by the engine's thread; each word has one writer."""

    def __init__(self) -> None:
        self._fd = default_places()[0](STATUS_SLOTS * SLOT_WORDS * WORD.size)
        self._memory = mmap.mmap(self._fd, 0)
        self._words = memoryview(self._memory).cast("Q")

    def fileno(self) -> int:
        return self._fd

    def cleared(self, taken: Container[int]) -> int | None:
        """A slot for a new worker, with nothing in it; None when there is none left. taken: those of other workers.

        Which ones are taken the workers say: a list of free ones beside them would be wrong after a fault between the
        two, and give a slot to two workers.
        """
        slot = next((each for each in range(STATUS_SLOTS) if each not in taken), None)
        if slot is not None:
            for word in range(SLOT_WORDS):
                self._words[slot * SLOT_WORDS + word] = 0
        return slot

    def begun(self, slot: int) -> int:
        """The sending number of the call that the worker has begun last, 0 = none."""
        return self._words[slot * SLOT_WORDS + CURRENT_CALL]

    def output_begin(self, slot: int) -> int:
        """Where in the worker's file the output of its present call begins."""
        return self._words[slot * SLOT_WORDS + OUTPUT]

    def ask_to_interrupt(self, slot: int, number: int) -> None:
        self._words[slot * SLOT_WORDS + INTERRUPTED] = number

    def recall(self, slot: int) -> tuple[int, int]:
        """The worker begins no other call until it is told which one it keeps.

        Returns how many recalls there have been, this one included, and the call that it had begun before it saw this.
        """
        recalls = self._words[slot * SLOT_WORDS + RECALL_GENERATION] + 1
        self._words[slot * SLOT_WORDS + RECALL_GENERATION] = recalls
        fence.full_fence()
        return recalls, self.begun(slot)

    def close(self) -> None:
        self._words.release()
        self._memory.close()
        os.close(self._fd)
