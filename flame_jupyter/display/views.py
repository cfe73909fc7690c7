# SPDX-License-Identifier: Apache-2.0
"""One displayed future: what was sent, what is still owed, and the seams to the front end."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Protocol

from flame_jupyter.display.mode import Mode
from flame_jupyter.display.snapshot import FutureLike, Preview, Snapshot


class Live(Protocol):
    """A widget on the page (widget.py)."""

    @property
    def model_id(self) -> str: ...

    def draw(
        self, snapshot: Snapshot, *, is_cancelling: bool = False, body: str = "", can_copy: bool = False
    ) -> None: ...

    def say(self, text: str) -> None:
        """Have a screen reader say this."""
        ...

    def resend(self) -> None:
        """Send the whole state again, for a program that did not listen."""
        ...

    def close(self) -> None: ...


@dataclass(eq=False)
class View:
    """cell: the request that displayed it. caption_id: the output above a live view. drawn: what the page shows.

    noted: the state that the news know. told_s: when the end was announced (monotonic). is_settled: the final form
    has been sent.
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
    noted: str = ""
    told_s: float | None = None
    preview: Preview | None = None
    is_preview_asked: bool = False
    is_cancelling: bool = False
    reference: str = ""
    is_settled: threading.Event = field(default_factory=threading.Event)

    def is_ended(self) -> bool:
        return self.future.done()
