# SPDX-License-Identifier: Apache-2.0
"""The way to the page: one budget for all that is sent, and what a program missed between two cells sent again.

Lives on the UI thread alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

from flame_jupyter.display.frontend.budget import TokenBucket
from flame_jupyter.display.render.bundles import Bundle

logger = logging.getLogger(__name__)


class Publisher(Protocol):
    """Sends a bundle to the output ``display_id``; ``is_update``: it is there already. May raise: the page is gone."""

    def __call__(self, bundle: Bundle, *, display_id: str, is_update: bool) -> None: ...


class OutputPublisher:
    def __init__(self, publish: Publisher) -> None:
        self._publish = publish
        self.bucket = TokenBucket()
        self._is_between_cells = False
        self._missed: list[Callable[[], object]] = []

    def send(self, bundle: Bundle, display_id: str) -> None:
        """Update an output. Never raises."""
        try:
            self._publish(bundle, display_id=display_id, is_update=True)
        except Exception:
            # the page, the kernel's sockets or the interpreter are gone; the future itself is not affected
            logger.debug("display update lost display_id=%s", display_id, exc_info=True)

    def do_now_and_in_the_next_cell(self, send: Callable[[], object]) -> None:
        """For what a program must not miss: between two of its cells it reads nothing."""
        send()
        if self._is_between_cells:
            self._missed.append(send)

    def begin_cell(self) -> None:
        """A program's cell begins: send again what was sent between two cells, when the program did not listen."""
        self._is_between_cells = False
        missed, self._missed = self._missed, []
        for send in missed:
            send()

    def end_cell(self) -> None:
        """A program's cell ends: until the next one begins, it reads nothing that we send."""
        self._is_between_cells = True

    def forget(self) -> None:
        self._missed.clear()
