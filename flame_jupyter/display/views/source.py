# SPDX-License-Identifier: Apache-2.0
"""Where an output gets its content: a call, progress, a panel, an inspector, a stream, printed text.

All have one life (output_updater.py). How they differ is what a source answers here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal, Protocol

from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import InProgram


class Viewer(Protocol):
    """An output as its source knows it. From any thread; it does not keep the output alive."""

    def wake(self) -> None:
        """Something has changed that is worth a look soon."""
        ...

    def say(self, text: str) -> None:
        """Have a screen reader say this."""
        ...

    def close(self) -> None:
        """The output becomes static, with what is true now."""
        ...


class Source(ABC):
    """Asked on the UI thread, except where it is said, so it must be quick and must not raise.

    Attributes:
        widget: Its live form (live_widget.py); "" = it needs none.
        refresh_s: Between two looks at it while it changes.
        quiet_s: The same after a while without a change.
        appears_after_s: What ends sooner is shown only as ended; its title is there at once.
        in_program: What the cell of a program does with it.
        is_one_of_many: Cells show hundreds of them: only ``Settings.max_live_widgets`` are live at one time.
        is_spoken: Screen readers hear by one sentence what happens to it and to others (announcements.py).
        counts_time: Its script counts the time, until it hears nothing of the kernel: some view must be drawn anew.
    """

    widget: Literal["page", "future", ""] = "page"
    refresh_s: float
    appears_after_s = 0.0
    in_program = InProgram.PRINTED
    is_one_of_many = False
    is_spoken = False
    counts_time = False

    @property
    def quiet_s(self) -> float:
        return self.refresh_s

    @property
    def keeps_widget(self) -> bool:
        """Does its live form stay when it has ended, beside the static one?"""
        return False

    @abstractmethod
    def content(self, *, now_s: float) -> Content:
        """now_s: seconds since the epoch."""

    @abstractmethod
    def is_ended(self) -> bool:
        """Would the next content be final? Safe from any thread."""

    def first(self, *, now_s: float) -> Content:
        """What is shown at once. Called on the thread of the cell, which may wait for it."""
        return self.content(now_s=now_s)

    def attach(self, viewer: Viewer) -> None:  # noqa: B027 - not all tell when they change
        """An output shows it, and hears of its changes by ``viewer``. On the thread of the cell."""

    def answer(self, ask: str) -> None:  # noqa: B027 - not all have buttons
        """A button of its live form was pressed. A page may send anything: what no button asks is ignored."""

    def is_told(self, ended: frozenset[int], now_s: float) -> bool:
        """The end of these calls was announced. Is it one of them?"""
        return False

    def stays_live(self, now_s: float) -> bool:
        """Has the live form to show the end for a while before it becomes static?"""
        return False

    def settled(self, replace: Callable[[Content], object]) -> None:  # noqa: B027 - not all hold much
        """The last content is on the page; ``replace`` sends another one in its place. May let go of what is big."""
