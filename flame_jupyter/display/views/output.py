# SPDX-License-Identifier: Apache-2.0
"""One display of a source: what was sent, what is still owed, and the widget while there is one.

A live one is two outputs of the notebook: a caption that always reads, and below it the widget, later what replaces it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import Mode
from flame_jupyter.display.views.source import Source


class Live(Protocol):
    """The widget of an output (live_widget.py)."""

    @property
    def model_id(self) -> str: ...

    @property
    def is_open(self) -> bool: ...

    def draw(self, content: Content) -> None: ...

    def know(self, press: str) -> None:
        """This press of a button is in what is drawn from now on."""
        ...

    def say(self, text: str) -> None:
        """Have a screen reader say this."""
        ...

    def resend(self) -> None:
        """Send the whole state again, for a program that did not listen."""
        ...

    def release(self) -> None:
        """Have the page keep what it shows, and forget the widget here."""
        ...

    def close(self) -> None:
        """Take it away from every page."""
        ...


@dataclass(eq=False)
class Output:
    """cell: the request that displayed it, "" = none that waits for its end. caption_id: the output above a live one.

    is_kept: nothing could replace the widget when the content is final. appears_s: not before (monotonic); until then
    it is empty. shown: what the page shows. is_asked: a button was pressed since. looked_s, due_s: the last look at its
    source and the next one (monotonic), pause_s: between them. is_settled: the final form has been sent.
    """

    source: Source
    mode: Mode
    display_id: str
    cell: str = ""
    caption_id: str = ""
    has_html: bool = True
    live: Live | None = None
    is_kept: bool = False
    appears_s: float = 0.0
    shown: Content | None = None
    is_asked: bool = False
    looked_s: float = float("-inf")
    due_s: float = float("-inf")
    pause_s: float = 0.0
    is_settled: threading.Event = field(default_factory=threading.Event)

    @property
    def messages(self) -> int:
        """How many it takes to show it or to settle it."""
        return 1 if self.live is None else 4

    @property
    def is_live(self) -> bool:
        """Does a widget follow what is pending, or has ended just now?"""
        return self.live is not None and not self.is_settled.is_set()

    def is_ended(self) -> bool:
        return self.is_settled.is_set() or self.source.is_ended()
