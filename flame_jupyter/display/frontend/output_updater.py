# SPDX-License-Identifier: Apache-2.0
"""The life of every output: looked at while it may change, shown as ended, made static. On the UI thread alone.

Nothing is queued: each look compares what the page shows with what is true and sends the difference, ends first, as far
as the message budget goes. So a burst of changes costs one message, and no end is ever lost.
"""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import Iterator

from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.render import bundles
from flame_jupyter.display.render.announcements import Announcements
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import Mode
from flame_jupyter.display.views.output import Output
from flame_jupyter.display.views.shelf import Shelf

logger = logging.getLogger(__name__)

TICK_S = 0.1  # what has changed meanwhile is looked at together: then ends can go first
SLOWER = 1.5  # with each look that finds nothing new
PULSE_S = 4.0  # one live view is drawn anew: pages that hear nothing for longer stop their clocks (future.js)
NEVER_S = float("inf")


class OutputUpdater:
    def __init__(
        self,
        publisher: OutputPublisher,
        clock: Clock,
        failures: CellFailures,
        announcements: Announcements,
    ) -> None:
        self._publisher = publisher
        self._bucket = publisher.bucket
        self._clock = clock
        self._failures = failures
        self._announcements = announcements
        self._shelf = Shelf()
        self._outputs: list[Output] = []
        self._ticked_s = -NEVER_S
        self._next_s = NEVER_S
        self._pulsed_s = -NEVER_S

    # -- events

    def add(self, output: Output) -> None:
        """From now on ``output`` is kept up to date. It has been shown, which has cost messages already."""
        now_s = self._clock.now()
        if output.source.counts_time:
            self._pulsed_s = now_s
        self._bucket.spend(output.messages, now_s=now_s)
        self._outputs.append(output)
        self.wake(output)

    def wake(self, output: Output | None = None) -> None:
        """Something may have changed: in ``output``, or in any of them."""
        for each in self._outputs if output is None else [output]:
            each.pause_s = each.source.refresh_s
            each.due_s = min(each.due_s, each.looked_s + TICK_S)
        self._next_s = min(self._next_s, self._ticked_s + TICK_S)

    def answer(self, output: Output, ask: str, press: str = "") -> None:
        """The person at the page has pressed a button."""
        if output.live is None:
            return
        output.live.know(press)
        output.is_asked = True  # whatever comes of it: the button is drawn again
        try:
            output.source.answer(ask)
        except Exception:
            logger.exception("%s failed display_id=%s", ask, output.display_id)
        self.wake(output)

    def say(self, output: Output, text: str) -> None:
        """Have a screen reader say this."""
        if output.live is not None:
            try:
                output.live.say(text)
            except Exception:
                logger.debug("announcement lost display_id=%s", output.display_id, exc_info=True)

    def close(self, output: Output) -> None:
        """This output becomes static as it is now. Idempotent."""
        if not output.is_settled.is_set():
            content = output.source.content(now_s=self._clock.wall()).settled()
            if output.live is not None:
                self._draw(output, content)
            self._settle(output, content)
            self._outputs = [each for each in self._outputs if each is not output]

    def refresh(self, outputs: list[Output]) -> None:
        """The cell of a program ends: say of these that they are still pending, and when that was."""
        self._failures.tell()
        for output in outputs:
            if not output.is_settled.is_set():
                with self._or_give_up(output):
                    self._send(output, output.source.content(now_s=self._clock.wall()))

    def replace(self, output: Output, content: Content) -> None:
        """Send the last form of an output, or another one in place of that."""

        def send() -> None:
            if output.live is not None:
                output.live.resend()
            self._send(output, content)

        self._publisher.do_now_and_in_the_next_cell(send)

    def retire(self, *, kernel_ends: bool = False) -> None:
        """The end of the display: all becomes static as it is now. When the kernel ends, its comms go with it."""
        for output in self._outputs:
            if not kernel_ends:  # else a page that has forgotten the widget would complain
                self._close_live(output)
            output.live = None
            try:
                now_s = self._clock.wall()
                content = output.source.content(now_s=now_s)
                self._settle(output, (content.gone(now_s) if kernel_ends else content).settled())
            except Exception:
                logger.debug("output left as it was display_id=%s", output.display_id, exc_info=True)
        self._outputs.clear()
        self._failures.tell()
        self._failures.forget()
        if kernel_ends:
            self._shelf.drop()
        else:
            self._shelf.clear()

    # -- what is due

    def tick(self) -> float | None:
        """Bring the page up to date. Returns the seconds until more may be due, None = nothing is pending."""
        now_s = self._clock.now()
        if now_s < self._next_s:
            return self._next_s - now_s if self._next_s < NEVER_S else None
        self._ticked_s = now_s
        if self._failures.has_changed() and self._bucket.take(1, now_s=now_s):
            self._failures.tell()
        looked = [(output, content) for output in self._outputs if (content := self._look(output, now_s)) is not None]
        for output, content in sorted(looked, key=lambda pair: not pair[1].is_end):
            self._bring_up_to_date(output, content, now_s)
        self._announce(now_s)
        self._give_pulse(now_s)
        self._outputs = [output for output in self._outputs if output.live or not output.is_settled.is_set()]
        due_s = min((output.due_s for output in self._outputs), default=NEVER_S)
        self._next_s = max(now_s if self._failures.has_changed() else due_s, now_s + TICK_S)
        return self._next_s - now_s if self._next_s < NEVER_S else None

    def _look(self, output: Output, now_s: float) -> Content | None:
        """None when it is not due."""
        if now_s < output.due_s:
            return None
        output.looked_s = now_s
        with self._or_give_up(output):
            content = output.source.content(now_s=self._clock.wall())
            return content.settled() if content.is_final else content
        return None

    def _bring_up_to_date(self, output: Output, content: Content, now_s: float) -> None:
        with self._or_give_up(output):
            has_more = self._show(output, content, now_s)
            source = output.source
            output.pause_s = source.refresh_s if has_more else min(output.pause_s * SLOWER, source.quiet_s)
            output.due_s = NEVER_S if output.is_settled.is_set() else now_s + output.pause_s

    def _show(self, output: Output, content: Content, now_s: float) -> bool:
        """Send what the page does not show yet. True when there was something, or there is something to wait for."""
        has_changed = self._has_changed(output, content)
        is_seen = output.live.is_open if output.live is not None else output.mode is not Mode.SETTLED_ONCE
        settles = content.is_final and not output.is_settled.is_set()
        if has_changed and is_seen and (settles or now_s >= output.appears_s) and not (settles and output.live is None):
            if not self._bucket.take(1, now_s=now_s):
                return True
            self._draw(output, content)
        must_stay = output.live is not None and output.source.stays_live(now_s)
        if settles and not must_stay and self._bucket.take(output.messages, now_s=now_s):
            self._settle(output, content)
        return has_changed or content.is_end

    def _has_changed(self, output: Output, content: Content) -> bool:
        is_live = output.live is not None
        shown = output.shown
        return output.is_asked or shown is None or content.changes(is_live=is_live) != shown.changes(is_live=is_live)

    def _announce(self, now_s: float) -> None:
        """One sentence about all that has happened, by a view that is on the page: best by one that it is about."""
        speaking = [output for output in self._outputs if output.is_live and output.source.is_spoken]
        if not speaking:
            self._announcements.forget()
        elif self._announcements.is_due(now_s) and self._bucket.take(1, now_s=now_s):
            text, ended = self._announcements.tell(now_s)
            about = [output for output in speaking if output.source.is_told(ended, now_s)]
            self.say((about or speaking)[-1], text)

    def _give_pulse(self, now_s: float) -> None:
        """Let the page know that the kernel lives, by one view for all."""
        counting = [output for output in self._outputs if output.is_live and output.source.counts_time]
        if counting and now_s - self._pulsed_s >= PULSE_S and self._bucket.take(1, now_s=now_s):
            pending = [output for output in counting if not output.is_ended()]
            if pending:
                self._draw(pending[-1], pending[-1].source.content(now_s=self._clock.wall()))

    # -- what is sent

    def _draw(self, output: Output, content: Content) -> None:
        output.shown, output.is_asked = content, False
        if output.live is not None:
            try:
                output.live.draw(content)
            except Exception:
                logger.debug("widget lost, static from now on display_id=%s", output.display_id, exc_info=True)
                output.live, output.mode = None, Mode.UPDATED
            else:
                if output.source.counts_time:
                    self._pulsed_s = self._clock.now()
                return
        self._send(output, content)

    def _send(self, output: Output, content: Content) -> None:
        if output.caption_id:
            body = content.body() if output.live is None else bundles.with_widget(content.body(), output.live.model_id)
            self._publisher.send(body, output.display_id)
            self._publisher.send(content.caption(), output.caption_id)
        else:
            self._publisher.send(content.whole(has_html=output.has_html), output.display_id)

    def _settle(self, output: Output, content: Content) -> None:
        """Its last form: static, or the widget with the end in it and, for readers without widgets, the static form."""
        is_replaced = output.live is None or not output.is_kept
        if output.live is not None and not output.source.keeps_widget:
            self._shelf.put(output.live, chars=content.chars)
            output.live = None
        if is_replaced:
            self.replace(output, content)
        output.source.settled(functools.partial(self.replace, output))
        output.is_settled.set()

    @contextlib.contextmanager
    def _or_give_up(self, output: Output) -> Iterator[None]:
        """What cannot be looked at becomes static as it was shown last, and the others go on."""
        try:
            yield
        except Exception:
            logger.exception("display given up display_id=%s", output.display_id)
            try:
                if output.shown is not None:
                    self._draw(output, output.shown.settled())
                    self._settle(output, output.shown)
            except Exception:
                logger.debug("output left as it was display_id=%s", output.display_id, exc_info=True)
            self._close_live(output)  # nothing would ever stop its clock
            output.live = None
            output.is_settled.set()

    def _close_live(self, output: Output) -> None:
        if output.live is not None:
            try:
                output.live.close()
            except Exception:
                logger.debug("widget not closed display_id=%s", output.display_id, exc_info=True)
