# SPDX-License-Identifier: Apache-2.0
"""What an output shows that is more than one call's: a page of HTML or several tabs, and buttons."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from flame_jupyter.display.model.formatting import clock_text
from flame_jupyter.display.render.bundles import Bundle, bundle
from flame_jupyter.display.render.html import block, page, pending_page
from flame_jupyter.display.views.content import Button, Content


@dataclass(frozen=True)
class Tab:
    """id: stays when the title changes; html: shown as it is."""

    id: str
    title: str
    html: str


@dataclass(frozen=True)
class PageContent(Content):
    """title: what it is about, which is also its name for screen readers; state: a few words, with the time while it
    may change; text, html: complete without title, and without any script; status: announced when it changes; tabs:
    instead of ``html`` while it is live.
    """

    title: str
    state: str
    text: str
    html: str
    status: str = ""
    tabs: tuple[Tab, ...] = ()
    buttons: tuple[Button, ...] = ()
    is_final: bool = False

    def empty(self) -> PageContent:
        return PageContent(self.title, self.state, "", "<div></div>")

    def gone(self, now_s: float) -> PageContent:
        if self.is_final:
            return self
        words = f"! The kernel has gone: this is how it was at {clock_text(now_s)}"
        return replace(self, text=f"{words}\n{self.text}", html=f"<div>{words}</div>{self.html}", tabs=())

    def whole(self, *, has_html: bool = True) -> Bundle:
        text = f"{self._line()}\n{self.text}".rstrip()
        whole = page(self.title, self.html) if self.title else self.html
        return bundle(text, whole if has_html else "")

    def caption(self) -> Bundle:
        line = f"{self.title}" if self.is_final else self._line()
        return bundle(line, pending_page(self.title, "" if self.is_final else self.state))

    def body(self) -> Bundle:
        return bundle(self.text, block(self.title, self.html))

    @property
    def chars(self) -> int:
        return sum(len(tab.html) for tab in self.tabs) or len(self.html)

    def settled(self) -> PageContent:
        return replace(self, is_final=True, buttons=())

    def traits(self) -> dict[str, object]:
        """``facts``: label, status and buttons; ``tabs``: what is below them. Without tabs, one that has no title."""
        tabs = self.tabs or (Tab("all", "", self.html),)
        return {
            "facts": {
                "label": self.title,
                "status": self.status,
                "final": self.is_final,
                "buttons": [asdict(button) for button in self.buttons],
            },
            "tabs": [asdict(tab) for tab in tabs],
        }

    def _line(self) -> str:
        return ": ".join(part for part in (self.title, self.state) if part)
