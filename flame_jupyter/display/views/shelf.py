# SPDX-License-Identifier: Apache-2.0
"""Where the widgets are that have shown their end: pages may still have nothing else."""

from __future__ import annotations

import logging
from collections import deque

from flame_jupyter.display.views.output import Live

logger = logging.getLogger(__name__)

SHELF_VIEWS = 100  # twice as many as are live at one time
SHELF_CHARS = 4_000_000


class Shelf:
    """Widgets that have shown their end and stay for pages that cannot replace them by the static form.

    A page that was loaded again, an ``ipywidgets.Output`` and what was captured know no display id: there the widget
    is all that there is. The oldest ones are forgotten here when there are too many; pages keep what they show.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[Live, int]] = deque()
        self._chars = 0

    def put(self, live: Live, *, chars: int) -> None:
        """chars: what it holds, roughly."""
        self._kept.append((live, chars))
        self._chars += chars
        while len(self._kept) > SHELF_VIEWS or (self._chars > SHELF_CHARS and len(self._kept) > 1):
            self._forget_the_oldest()

    def clear(self) -> None:
        while self._kept:
            self._forget_the_oldest()

    def drop(self) -> None:
        """The kernel ends, and its comms with it: say nothing."""
        self._kept.clear()
        self._chars = 0

    def _forget_the_oldest(self) -> None:
        live, chars = self._kept.popleft()
        self._chars -= chars
        try:
            live.release()
        except Exception:
            logger.debug("widget not forgotten", exc_info=True)
