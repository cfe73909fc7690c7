# SPDX-License-Identifier: Apache-2.0
"""What the parts of one embedded engine share: its event loop, its object cache, and whether it takes calls."""

from __future__ import annotations

import copy
from dataclasses import dataclass

from flamepy.cache.store import MemoryStore
from flamepy.engine.api import FORKED
from flamepy.engine.completion import Completion
from flamepy.engine.local.loop.event_loop import SHUT_DOWN, Loop
from flamepy.errors import EngineForked, InvalidState


@dataclass
class Core:
    """is_forked: is this a copy in a forked child?"""

    loop: Loop
    objects: MemoryStore
    is_closed: bool = False
    is_forked: bool = False

    @property
    def is_alive(self) -> bool:
        return not self.is_closed and self.loop.failure is None

    def check(self) -> None:
        """Raises EngineForked, the reason why the loop gave up, or InvalidState after ``close``."""
        if self.is_forked:
            raise EngineForked(FORKED)
        if self.loop.failure is not None:
            raise copy.copy(self.loop.failure)  # what is raised holds the frames that it passes
        if self.is_closed:
            raise InvalidState(SHUT_DOWN)

    def wait(self, completion: Completion, timeout_s: float | None) -> bool:
        """Wait until the call has ended. Raises EngineForked in a forked child, where no call ever ends."""
        if self.is_forked:
            self.check()
        return self.loop.wait(completion, timeout_s)
