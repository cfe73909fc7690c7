# SPDX-License-Identifier: Apache-2.0
"""One displayed future: what was sent, what is still owed, and the seams to the front end.

Displaying does not keep a value alive: a view that has settled knows its future weakly.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Protocol

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.snapshot import FutureLike, Preview, Snapshot
from flame_jupyter.display.views.mode import Mode

logger = logging.getLogger(__name__)

SHELF_VIEWS = 100  # twice as many as are live at one time
SHELF_CHARS = 4_000_000


class Shown(Protocol):
    """A widget of ours, whatever it shows (future_widget.py, live_output_widget.py)."""

    @property
    def model_id(self) -> str: ...

    def know(self, press: str) -> None:
        """This press of a button is in what is drawn from now on."""
        ...

    def release(self) -> None:
        """Have the page keep what it shows, and forget the widget here."""
        ...

    def close(self) -> None:
        """Take it away from every page."""
        ...


class Live(Shown, Protocol):
    """The widget of a future (future_widget.py)."""

    def draw(
        self, snapshot: Snapshot, *, is_cancelling: bool = False, body: str = "", can_copy: bool = False
    ) -> None: ...

    def say(self, text: str) -> None:
        """Have a screen reader say this."""
        ...

    def resend(self) -> None:
        """Send the whole state again, for a program that did not listen."""
        ...


class Shelf:
    """Widgets that have shown their end and stay for pages that cannot replace them by the static form.

    A page that was loaded again, an ``ipywidgets.Output`` and what was captured know no display id: there the widget
    is all that there is. The oldest ones are forgotten here when there are too many; pages keep what they show.
    """

    def __init__(self) -> None:
        self._kept: deque[tuple[Shown, int]] = deque()
        self._chars = 0

    def put(self, live: Shown, *, chars: int) -> None:
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


@dataclass(eq=False)
class View:
    """cell: the request that displayed it. caption_id: the output above a live view. drawn: what the page shows.

    noted: the state that the news know. told_s: when the end was announced (monotonic). end: how it was shown at last.
    is_settled: the final form has been sent.
    """

    future: FutureLike
    mode: Mode
    display_id: str
    cell: str = ""
    caption_id: str = ""
    live: Live | None = None
    has_html: bool = True
    drawn: tuple[object, ...] = ()
    drawn_s: float = 0.0
    noted: CallState | None = None
    told_s: float | None = None
    preview: Preview | None = None
    is_preview_asked: bool = False
    is_cancelling: bool = False
    reference: str = ""
    end: Snapshot | None = None
    is_settled: threading.Event = field(default_factory=threading.Event)

    def is_ended(self) -> bool:
        return self.is_settled.is_set() or self.future.done()

    def release(self) -> None:
        """From now on ``future`` is a weak proxy, which raises ReferenceError once nothing else holds the future."""
        if not isinstance(self.future, weakref.ProxyType):
            self.future = weakref.proxy(self.future)
        self.preview = None
