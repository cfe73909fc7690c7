# SPDX-License-Identifier: Apache-2.0
"""An output: a display that is more than one future's view (progress, status, inspector), live first, then static.

``Source`` says what is to be seen; ``LiveOutput`` is one display of it; live_output_updater.py keeps it up to date.
Like the view of a future it is two outputs: a caption that always reads, and below it the widget, later what replaces
it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from typing import Protocol

from flame_jupyter.display.model.formatting import clock_text
from flame_jupyter.display.render import bundles
from flame_jupyter.display.render.bundles import Bundle
from flame_jupyter.display.render.html import block, page, pending_page
from flame_jupyter.display.views.future_view import Shown
from flame_jupyter.display.views.mode import Mode


@dataclass(frozen=True)
class Tab:
    """id: stays when the title changes; html: shown as it is."""

    id: str
    title: str
    html: str


@dataclass(frozen=True)
class Button:
    """ask: what the source is told when it is pressed. copies: what goes into the clipboard then, instead of an ask;
    for a button that was pressed, as soon as it is there.
    """

    ask: str
    text: str
    title: str = ""
    is_enabled: bool = True
    copies: str = ""


@dataclass(frozen=True)
class Content:
    """What an output shows at one moment.

    title: what it is about, which is also its name for screen readers; state: a few words, with the time while it may
    change; text, html: complete without title, and without any script; status: announced when it changes; tabs: instead
    of ``html`` while it is live. is_final: it will not change any more.
    """

    title: str
    state: str
    text: str
    html: str
    status: str = ""
    tabs: tuple[Tab, ...] = ()
    buttons: tuple[Button, ...] = ()
    is_final: bool = False

    def empty(self) -> Content:
        """Before there is anything to see."""
        return Content(self.title, self.state, "", "<div></div>")

    def gone(self, now_s: float) -> Content:
        """The same when the kernel ends now; in the words of the script."""
        if self.is_final:
            return self
        words = f"! The kernel has gone: this is how it was at {clock_text(now_s)}"
        return replace(self, text=f"{words}\n{self.text}", html=f"<div>{words}</div>{self.html}", tabs=())

    def whole(self, *, has_html: bool = True) -> Bundle:
        """Everything in one output."""
        text = f"{self._line()}\n{self.text}".rstrip()
        whole = page(self.title, self.html) if self.title else self.html
        return bundles.bundle(text, whole if has_html else "")

    def caption(self) -> Bundle:
        """The output above a live output. Its state is hidden while there is one."""
        line = f"{self.title}" if self.is_final else self._line()
        return bundles.bundle(line, pending_page(self.title, "" if self.is_final else self.state))

    def body(self) -> Bundle:
        """What stands below the caption."""
        return bundles.bundle(self.text, block(self.title, self.html))

    def _line(self) -> str:
        return ": ".join(part for part in (self.title, self.state) if part)


class Source(Protocol):
    """Where an output gets its content. Asked on the UI thread, so it must be quick and must not raise."""

    refresh_s: float

    def content(self, *, now_s: float) -> Content:
        """now_s: seconds since the epoch."""
        ...

    def answer(self, ask: str) -> None:
        """A button was pressed."""
        ...

    def is_ended(self) -> bool:
        """Would the next content be final? Safe from any thread."""
        ...


class LiveOutputWidget(Shown, Protocol):
    """The widget of an output (live_output_widget.py)."""

    @property
    def is_open(self) -> bool: ...

    def draw(self, content: Content) -> None: ...


@dataclass(eq=False)
class LiveOutput:
    """cell: the request that displayed it, "" = none that waits for its end. caption_id: the output above a live one.

    appears_s: not before (monotonic); until then it is empty.
    is_kept: nothing could replace the widget when the content is final. drawn: what the page shows. is_asked: a button
    was pressed since.
    """

    source: Source
    mode: Mode
    display_id: str
    caption_id: str = ""
    cell: str = ""
    has_html: bool = True
    appears_s: float = 0.0
    live: LiveOutputWidget | None = None
    is_kept: bool = False
    drawn: Content | None = None
    is_asked: bool = False
    due_s: float = 0.0
    is_settled: threading.Event = field(default_factory=threading.Event)

    def is_ended(self) -> bool:
        return self.source.is_ended()
