# SPDX-License-Identifier: Apache-2.0
"""Keeps live outputs current, on the UI thread: at their own pace, only what changed, within the message budget."""

from __future__ import annotations

import logging
from dataclasses import replace

from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.future_view import Shelf
from flame_jupyter.display.views.live_output import Content, LiveOutput
from flame_jupyter.display.views.mode import Mode

logger = logging.getLogger(__name__)


class LiveOutputUpdater:
    def __init__(self, publisher: OutputPublisher, clock: Clock, shelf: Shelf | None = None) -> None:
        self._publisher = publisher
        self._clock = clock
        self._shelf = shelf or Shelf()
        self._live_outputs: list[LiveOutput] = []

    def add(self, output: LiveOutput, *, messages: int = 1) -> None:
        """From now on ``output`` is kept up to date. ``messages``: what showing it has cost already."""
        self._publisher.bucket.spend(messages, now_s=self._clock.now())
        self._live_outputs.append(output)

    def wake(self) -> None:
        """Something may have changed that is worth a look at once."""
        for output in self._live_outputs:
            output.due_s = min(output.due_s, self._clock.now())

    def answer(self, output: LiveOutput, ask: str, press: str = "") -> None:
        """A button of this output was pressed."""
        if output.live is None:
            return
        output.live.know(press)
        output.is_asked = True
        try:
            output.source.answer(ask)
        except Exception:
            logger.exception("output request failed ask=%s display_id=%s", ask, output.display_id)
        output.due_s = self._clock.now()

    def close(self, output: LiveOutput) -> None:
        """This output becomes static as it is now. Idempotent."""
        if output in self._live_outputs:
            self._live_outputs.remove(output)
            self._settle(output, output.source.content(now_s=self._clock.wall()))

    def refresh(self, outputs: list[LiveOutput]) -> None:
        """Say of these how far they are."""
        for output in outputs:
            if not output.is_settled.is_set():
                self._send(output, output.source.content(now_s=self._clock.wall()))

    def retire(self, *, kernel_ends: bool = False) -> None:
        for output in list(self._live_outputs):
            if output.live is not None and not kernel_ends:  # as in view_updater.py
                self._close_live(output)
            output.live = None
            self._live_outputs.remove(output)
            now_s = self._clock.wall()
            content = output.source.content(now_s=now_s)
            self._settle(output, content.gone(now_s) if kernel_ends else content)

    def tick(self) -> float | None:
        """Bring all up to date. Returns the seconds until one is due, None = there is none."""
        now_s = self._clock.now()
        for output in list(self._live_outputs):
            if now_s < output.due_s:
                continue
            output.due_s = now_s + output.source.refresh_s
            try:
                self._bring_up_to_date(output, now_s)
            except Exception:
                logger.exception("output given up display_id=%s", output.display_id)
                if output.drawn is not None:
                    self._settle(output, output.drawn)  # a live output that is not served is worse than an old number
                elif output.live is not None:
                    self._close_live(output)
                output.is_settled.set()  # the others go on
        self._live_outputs = [output for output in self._live_outputs if not output.is_settled.is_set()]
        return max(min(output.due_s for output in self._live_outputs) - now_s, 0.0) if self._live_outputs else None

    def _bring_up_to_date(self, output: LiveOutput, now_s: float) -> None:
        content = output.source.content(now_s=self._clock.wall())
        if content.is_final:
            self._settle(output, content)
            return
        is_seen = output.live is None or output.live.is_open
        is_changed = content != output.drawn or output.is_asked
        if not is_changed or now_s < output.appears_s or output.mode is Mode.SETTLED_ONCE or not is_seen:
            return
        if not self._publisher.bucket.take(1, now_s=now_s):
            output.due_s = now_s
            return
        if output.live is not None:
            output.live.draw(content)
        else:
            self._send(output, content)
        output.drawn, output.is_asked = content, False

    def _send(self, output: LiveOutput, content: Content) -> None:
        if output.caption_id:
            self._publisher.send(content.caption(), output.caption_id)
            self._publisher.send(content.body(), output.display_id)
        else:
            self._publisher.send(content.whole(has_html=output.has_html), output.display_id)

    def _settle(self, output: LiveOutput, content: Content) -> None:
        final = replace(content, is_final=True, buttons=())
        live, output.live = output.live, None
        if live is not None:
            try:
                live.draw(final)
            except Exception:
                logger.debug("live output not drawn display_id=%s", output.display_id, exc_info=True)
            self._shelf.put(live, chars=sum(len(tab.html) for tab in final.tabs) or len(final.html))
        if live is None or not output.is_kept:
            self._publisher.do_now_and_in_the_next_cell(lambda: self._send(output, final))
        output.is_settled.set()

    def _close_live(self, output: LiveOutput) -> None:
        assert output.live is not None
        try:
            output.live.close()
        except Exception:
            logger.debug("live output not closed display_id=%s", output.display_id, exc_info=True)
