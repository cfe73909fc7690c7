# SPDX-License-Identifier: Apache-2.0
"""Keeps panes up to date, on the UI thread: at their own pace, only what changed, within the budget of the wire."""

from __future__ import annotations

import logging
from dataclasses import replace

from flame_jupyter.display.clock import Clock
from flame_jupyter.display.mode import Mode
from flame_jupyter.display.pane import Content, Pane
from flame_jupyter.display.views import Shelf
from flame_jupyter.display.wire import Wire

logger = logging.getLogger(__name__)


class Panes:
    def __init__(self, wire: Wire, clock: Clock, shelf: Shelf | None = None) -> None:
        self._wire = wire
        self._clock = clock
        self._shelf = shelf or Shelf()
        self._panes: list[Pane] = []

    def add(self, pane: Pane, *, messages: int = 1) -> None:
        """From now on ``pane`` is kept up to date. ``messages``: what showing it has cost already."""
        self._wire.bucket.spend(messages, now_s=self._clock.now())
        self._panes.append(pane)

    def wake(self) -> None:
        """Something may have changed that is worth a look at once."""
        for pane in self._panes:
            pane.due_s = min(pane.due_s, self._clock.now())

    def answer(self, pane: Pane, ask: str, press: str = "") -> None:
        """Somebody has pressed a button of this pane."""
        if pane.live is None:
            return
        pane.live.know(press)
        pane.is_asked = True
        try:
            pane.source.answer(ask)
        except Exception:
            logger.exception("pane request failed ask=%s display_id=%s", ask, pane.display_id)
        pane.due_s = self._clock.now()

    def close(self, pane: Pane) -> None:
        """This pane becomes static as it is now. Idempotent."""
        if pane in self._panes:
            self._panes.remove(pane)
            self._settle(pane, pane.source.content(now_s=self._clock.wall()))

    def refresh(self, panes: list[Pane]) -> None:
        """Say of these how far they are."""
        for pane in panes:
            if not pane.is_settled.is_set():
                self._send(pane, pane.source.content(now_s=self._clock.wall()))

    def retire(self, *, kernel_ends: bool = False) -> None:
        for pane in list(self._panes):
            if pane.live is not None and not kernel_ends:  # as in desk.py
                self._close_live(pane)
            pane.live = None
            self._panes.remove(pane)
            now_s = self._clock.wall()
            content = pane.source.content(now_s=now_s)
            self._settle(pane, content.gone(now_s) if kernel_ends else content)

    def tick(self) -> float | None:
        """Bring all up to date. Returns the seconds until one is due, None = there is none."""
        now_s = self._clock.now()
        for pane in list(self._panes):
            if now_s < pane.due_s:
                continue
            pane.due_s = now_s + pane.source.refresh_s
            try:
                self._bring_up_to_date(pane, now_s)
            except Exception:
                logger.exception("pane given up display_id=%s", pane.display_id)
                if pane.drawn is not None:
                    self._settle(pane, pane.drawn)  # a live pane that nobody serves is worse than an old number
                elif pane.live is not None:
                    self._close_live(pane)
                pane.is_settled.set()  # the others go on
        self._panes = [pane for pane in self._panes if not pane.is_settled.is_set()]
        return max(min(pane.due_s for pane in self._panes) - now_s, 0.0) if self._panes else None

    def _bring_up_to_date(self, pane: Pane, now_s: float) -> None:
        content = pane.source.content(now_s=self._clock.wall())
        if content.is_final:
            self._settle(pane, content)
            return
        is_seen = pane.live is None or pane.live.is_open
        is_news = content != pane.drawn or pane.is_asked
        if not is_news or now_s < pane.appears_s or pane.mode is Mode.SETTLED_ONCE or not is_seen:
            return
        if not self._wire.bucket.take(1, now_s=now_s):
            pane.due_s = now_s
            return
        if pane.live is not None:
            pane.live.draw(content)
        else:
            self._send(pane, content)
        pane.drawn, pane.is_asked = content, False

    def _send(self, pane: Pane, content: Content) -> None:
        if pane.caption_id:
            self._wire.send(content.caption(), pane.caption_id)
            self._wire.send(content.body(), pane.display_id)
        else:
            self._wire.send(content.whole(has_html=pane.has_html), pane.display_id)

    def _settle(self, pane: Pane, content: Content) -> None:
        final = replace(content, is_final=True, buttons=())
        live, pane.live = pane.live, None
        if live is not None:
            try:
                live.draw(final)
            except Exception:
                logger.debug("live pane not drawn display_id=%s", pane.display_id, exc_info=True)
            self._shelf.put(live, chars=sum(len(tab.html) for tab in final.tabs) or len(final.html))
        if live is None or not pane.is_kept:
            self._wire.do_now_and_in_the_next_cell(lambda: self._send(pane, final))
        pane.is_settled.set()

    def _close_live(self, pane: Pane) -> None:
        assert pane.live is not None
        try:
            pane.live.close()
        except Exception:
            logger.debug("live pane not closed display_id=%s", pane.display_id, exc_info=True)
