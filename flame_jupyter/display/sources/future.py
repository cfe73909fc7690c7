# SPDX-License-Identifier: Apache-2.0
"""A displayed call: its state, what it has printed so far, in the end its result or its error.

Displaying does not keep a value alive: a source that has settled knows its future weakly.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, replace

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.snapshot import FutureLike, Preview, Snapshot, take
from flame_jupyter.display.previews.preview import is_for_worker
from flame_jupyter.display.previews.preview_jobs import Previews, preview_within_budget
from flame_jupyter.display.previews.reference import start_reference
from flame_jupyter.display.render.announcements import Announcements
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.views.call_content import CallContent
from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import InProgram, Settings
from flame_jupyter.display.views.source import Source, Viewer


@dataclass(frozen=True)
class SharedByCalls:
    """What the displayed calls of one notebook have in common."""

    settings: Callable[[], Settings]
    previews: Previews
    failures: CellFailures
    announcements: Announcements


class FutureSource(Source):
    """What one output of a call shows. cell: the request that displays it."""

    widget = "future"
    refresh_s = 0.1
    quiet_s = 0.5
    in_program = InProgram.AWAITED
    is_one_of_many = True
    is_spoken = True
    counts_time = True

    def __init__(self, future: FutureLike, shared: SharedByCalls, *, cell: str = "") -> None:
        self.future = future
        self._shared = shared
        self._cell = cell
        self._preview: Preview | None = None
        self._reference = ""
        self._is_cancelling = False
        self._viewer: Viewer | None = None
        self._told_s: float | None = None  # when its end was announced (monotonic)
        self._has_settled = False
        shared.failures.show(cell, future.id)
        self._shown = self._snapshot(time.time())

    @property
    def keeps_widget(self) -> bool:
        return self._shared.settings().settle == "keep-widget"

    def first(self, *, now_s: float) -> CallContent:
        """A call that has ended is shown as that, at once: its preview is made now."""
        if self._shown.state is CallState.SUCCEEDED:
            self._preview = preview_within_budget(self.future, self._shared.settings().limits)
            self._shown = self._snapshot(now_s)
        return self._content(is_final=self._shown.state.is_terminal)

    def content(self, *, now_s: float) -> CallContent:
        before = self._shown.state
        self._shown = replace(self._shown, reference=self._reference) if self._has_settled else self._snapshot(now_s)
        is_whole = self._has_settled or self._shown.state is not CallState.SUCCEEDED or self._preview is not None
        is_coming = not is_whole and self._shared.previews.ask(self)
        if is_coming and is_for_worker(self._shown.nbytes, self._shared.settings().limits):
            self._shown = self._shown.fetching()
        if self._shown.state is not before:
            self._shared.announcements.note(self._shown)
        return self._content(is_final=self._shown.state.is_terminal and is_whole)

    def is_ended(self) -> bool:
        return self.future.done()

    def attach(self, viewer: Viewer) -> None:
        self._viewer = viewer
        self.future.add_done_callback(lambda _future: viewer.wake())

    def take_preview(self, made: Preview) -> None:
        """It is ready, or something is said in its place."""
        self._preview = made
        if self._viewer is not None:
            self._viewer.wake()

    def answer(self, ask: str) -> None:
        if ask == "cancel" and not self._has_settled:
            self.future.cancel()
            self._is_cancelling = True
        elif ask == "reference":
            state = self._shown.state if self._has_settled else CallState.named(self.future.state)
            if state is CallState.SUCCEEDED:
                start_reference(self.future, self._take_reference)

    def is_told(self, ended: frozenset[int], now_s: float) -> bool:
        if self._shown.id not in ended:
            return False
        self._told_s = now_s
        return True

    def stays_live(self, now_s: float) -> bool:
        """So long that a screen reader can announce the end."""
        return self._told_s is None or now_s - self._told_s < self._shared.settings().settle_after_s

    def settled(self, replace: Callable[[Content], object]) -> None:
        """From now on ``future`` is a weak proxy, which raises ReferenceError once nothing else holds the future."""
        self._shared.failures.settle(
            self._cell, self._shown, lambda summed_up: replace(CallContent(summed_up, is_final=True))
        )
        self._has_settled = True
        self._preview = None
        if not isinstance(self.future, weakref.ProxyType):
            self.future = weakref.proxy(self.future)

    def _take_reference(self, text: str, problem: str) -> None:
        self._reference = text
        if self._viewer is not None and problem:
            self._viewer.say(problem)
        elif self._viewer is not None:
            self._viewer.wake()

    def _snapshot(self, now_s: float) -> Snapshot:
        snapshot = take(self.future, now_s=now_s, preview=self._preview, reference=self._reference)
        return self._shared.failures.as_shown(self._cell, snapshot)

    def _content(self, *, is_final: bool) -> CallContent:
        can_copy = self.keeps_widget  # another view is gone before it can be used
        return CallContent(self._shown, is_final, self._is_cancelling, can_copy)
