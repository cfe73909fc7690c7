# SPDX-License-Identifier: Apache-2.0
"""What an output shows at one moment, in each of the forms that it may have there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from flame_jupyter.display.render.bundles import Bundle

CANCELLING = "Cancelling"


@dataclass(frozen=True)
class Button:
    """ask: what the source is told when it is pressed. copies: what goes into the clipboard then, instead of an ask;
    for a button that was pressed, as soon as it is there. pressed: its text until the press was heard, "" = as before.
    about: follows the text where screen readers name the button.
    """

    ask: str
    text: str
    title: str = ""
    is_enabled: bool = True
    copies: str = ""
    pressed: str = ""
    about: str = ""


class Content(ABC):
    """Frozen. is_final: it will not change any more. is_end: what it shows has ended, though more may be on its way."""

    is_final: bool

    @property
    def is_end(self) -> bool:
        return self.is_final

    @property
    @abstractmethod
    def chars(self) -> int:
        """How much its widget holds, roughly."""

    @abstractmethod
    def whole(self, *, has_html: bool = True) -> Bundle:
        """Everything in one output."""

    @abstractmethod
    def caption(self) -> Bundle:
        """The output above a live one, which always reads."""

    @abstractmethod
    def body(self) -> Bundle:
        """What stands below the caption when nothing is live."""

    @abstractmethod
    def traits(self) -> dict[str, object]:
        """What its widget draws (live_widget.py)."""

    @abstractmethod
    def gone(self, now_s: float) -> Content:
        """The same when the kernel ends now."""

    def changes(self, *, is_live: bool) -> object:
        """What is worth a message when it differs from what the page shows. is_live: the page counts the time."""
        return self

    def empty(self) -> Content:
        """Before there is anything to see (``Source.appears_after_s``)."""
        return self

    def settled(self) -> Content:
        """Its last form: there is nothing to press any more."""
        return self
