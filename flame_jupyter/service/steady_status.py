# SPDX-License-Identifier: Apache-2.0
"""What displays show of a notebook's Runner and services: nothing of the moments in which one replaces another."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from flame_jupyter.service.runner_status import Status
from flamepy.errors import FlameError


class SteadyStatus:
    """look: takes a snapshot; raises FlameError when the engine ends just now. Displays ask from any thread."""

    def __init__(self, look: Callable[[], Status]) -> None:
        self._look = look
        self._held: Status | None = None
        self._looking = threading.Lock()

    def now(self) -> Status:
        """Raises FlameError."""
        with self._looking:
            return self._held or self._look()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Displays show what there is now, until the end: they would see a service and its successor side by side."""
        outer = self._held
        try:
            with self._looking, contextlib.suppress(FlameError):  # a display that is looking has ended before
                status = outer or self._look()
                self._held = status if status.name is not None else None
            yield
        finally:
            self._held = outer
