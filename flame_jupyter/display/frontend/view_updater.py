# SPDX-License-Identifier: Apache-2.0
"""What is displayed, and what the front end is told about it. Lives on the UI thread alone; the clock is passed in.

Nothing is queued: each tick compares what a view shows with what is true and sends the difference, ended calls
first, as far as the message budget goes. So a burst of changes costs one message, and no end is ever lost.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from dataclasses import replace

from flame_jupyter.display.frontend.preview_jobs import Previews
from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.snapshot import Snapshot, take
from flame_jupyter.display.previews.preview import is_for_worker
from flame_jupyter.display.previews.reference import start_reference
from flame_jupyter.display.render import bundles, html
from flame_jupyter.display.render.announcements import Announcements
from flame_jupyter.display.render.bundles import Bundle
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.future_view import Shelf, View
from flame_jupyter.display.views.mode import Mode, Settings

logger = logging.getLogger(__name__)

TICK_S = 0.1
SLOW_TICK_S = 0.5  # while calls run and nothing changes
PULSE_S = 4.0  # one live view is drawn anew: pages that hear nothing for longer stop their clocks (future_view.js)
REFRESH_S = 1.0  # of a static output that shows elapsed time


class FutureViewUpdater:
    def __init__(
        self,
        publisher: OutputPublisher,
        post: Callable[[Callable[[], object]], object],
        settings: Callable[[], Settings] = Settings,
        clock: Clock | None = None,
        failures: CellFailures | None = None,
        shelf: Shelf | None = None,
    ) -> None:
        self._publisher = publisher
        self._post = post
        self._settings = settings
        self._clock = clock or Clock()
        self._bucket = publisher.bucket
        self._views: list[View] = []
        self._kept: list[View] = []  # ended, and left live because the settings say so
        self._failures = failures or CellFailures()
        self._shelf = shelf or Shelf()
        self._announcements = Announcements()
        self._previews = Previews(post, lambda: settings().limits, self._clock, self.wake)
        self._ticked_s = float("-inf")
        self._next_s = float("-inf")
        self._pause_s = TICK_S
        self._pulsed_s = float("-inf")

    # -- events

    def add(self, view: View, *, messages: int) -> None:
        """From now on ``view`` is kept up to date. ``messages``: what showing it has cost already."""
        now_s = self._pulsed_s = self._clock.now()
        self._bucket.spend(messages, now_s=now_s)
        self._views.append(view)
        self.wake()

    def wake(self) -> None:
        """Something may have changed."""
        self._pause_s = TICK_S
        self._next_s = min(self._next_s, self._ticked_s + TICK_S)

    def answer(self, view: View, ask: str, press: str = "") -> None:
        """The person at the page has pressed a button of this view."""
        if view.live is None:
            return
        view.live.know(press)
        view.drawn = ()  # whatever comes of it: the button is drawn again
        self.wake()
        if ask == "cancel" and not view.is_settled.is_set():
            self._cancel(view)
        elif ask == "reference" and self._snapshot(view).state is CallState.SUCCEEDED:
            told = functools.partial(self._tell_reference, view)
            start_reference(view.future, lambda text, problem: self._post(functools.partial(told, text, problem)))

    def _cancel(self, view: View) -> None:
        view.is_cancelling = True
        try:
            view.future.cancel()
        except Exception:
            view.is_cancelling = False
            logger.exception("cancel failed call=%s id=%d", view.future.name, view.future.id)
        self.wake()

    def _tell_reference(self, view: View, text: str, problem: str) -> None:
        view.reference = text
        if problem:
            self._say(view, problem)
        elif view.live is not None:
            snapshot = self._snapshot(view)
            self._draw(view, snapshot, body=html.parts(snapshot))

    def refresh(self, views: list[View]) -> None:
        """The cell of a program ends: say of these that they are still pending, and when that was."""
        self._failures.tell()
        for view in views:
            if not view.is_settled.is_set():
                self._publisher.send(self._final(view, self._snapshot(view)), view.display_id)

    def retire(self, *, kernel_ends: bool = False) -> None:
        """The end of the display: each view becomes static as it is now. When the kernel ends, its comms go with it."""
        for view in self._views + self._kept:
            if view.live is not None and not kernel_ends:  # else a page that has forgotten it would complain
                self._close(view)
            view.live = None
            snapshot = self._snapshot(view)
            self._make_static(view, snapshot.gone() if kernel_ends else snapshot)
        self._views.clear()
        self._kept.clear()
        self._previews.clear()
        self._failures.tell()
        self._failures.forget()

    # -- what is due

    def tick(self) -> float | None:
        """Bring the page up to date. Returns the seconds until more may be due, None = nothing is pending."""
        has_late_failures = self._failures.has_changed()
        if not self._views and not has_late_failures:
            return None
        now_s = self._clock.now()
        if now_s < self._next_s:
            return self._next_s - now_s
        self._ticked_s = now_s
        if has_late_failures and self._bucket.take(1, now_s=now_s):
            self._failures.tell()
        self._previews.give_up_the_slow_one()
        is_busy = False
        for view in sorted(self._views, key=lambda view: not view.future.done()):
            try:
                is_busy |= self._bring_up_to_date(view, now_s)
            except Exception:
                logger.exception("display given up display_id=%s", view.display_id)
                if view.live is not None:
                    self._close(view)  # nothing would ever stop its clock
                view.release()
                view.is_settled.set()  # the others go on
        self._announce(now_s)
        self._give_pulse(now_s)
        self._views = [view for view in self._views if not view.is_settled.is_set()]
        self._pause_s = TICK_S if is_busy else min(self._pause_s * 1.5, SLOW_TICK_S)
        self._next_s = now_s + self._pause_s
        return self._pause_s if self._views or self._failures.has_changed() else None

    def _bring_up_to_date(self, view: View, now_s: float) -> bool:
        """Send what the page does not show yet. True when there was something, or there is something to wait for."""
        snapshot = self._snapshot(view)
        if snapshot.state is CallState.SUCCEEDED and view.preview is None and not view.is_preview_asked:
            view.is_preview_asked = True
            self._previews.ask(view)
        is_complete = snapshot.state is not CallState.SUCCEEDED or view.preview is not None
        if not is_complete and is_for_worker(snapshot.nbytes, self._settings().limits):
            snapshot = snapshot.fetching()
        if snapshot.state != view.noted:
            view.noted = snapshot.state
            self._announcements.note(snapshot)
        if not snapshot.state.is_terminal:
            return self._show_progress(view, snapshot, now_s) or snapshot.state is CallState.FETCHING
        must_stay = view.live is not None and self._show_end(view, snapshot, now_s, is_complete=is_complete)
        if is_complete and not must_stay and self._bucket.take(4 if view.live else 1, now_s=now_s):
            self._settle(view, snapshot)
        return True

    def _show_progress(self, view: View, snapshot: Snapshot, now_s: float) -> bool:
        facts = (snapshot.state, snapshot.output, view.is_cancelling, snapshot.waits_for)
        is_stale = view.mode is Mode.UPDATED and view.live is None and now_s - view.drawn_s >= REFRESH_S - TICK_S
        if view.mode is Mode.SETTLED_ONCE or (facts == view.drawn and not is_stale):
            return False
        if self._bucket.take(1, now_s=now_s):
            self._draw(view, snapshot)
            view.drawn, view.drawn_s = facts, now_s
        return True

    def _show_end(self, view: View, snapshot: Snapshot, now_s: float, *, is_complete: bool) -> bool:
        """Let the live view show the end, all of it: for some pages it is the only one. True while it must stay."""
        facts = (snapshot.state, is_complete, snapshot.summary)
        if facts != view.drawn:
            if not self._bucket.take(1, now_s=now_s):
                return True
            self._draw(view, snapshot, body=html.parts(snapshot) if is_complete else "")
            view.drawn = facts
        return view.told_s is None or now_s - view.told_s < self._settings().settle_after_s

    def _announce(self, now_s: float) -> None:
        """One sentence about all that has happened, by a view that is on the page: best by one that it is about."""
        live = [view for view in self._views if view.live is not None and not view.is_settled.is_set()]
        if not live:
            self._announcements.forget()
        elif self._announcements.is_due(now_s) and self._bucket.take(1, now_s=now_s):
            text, ended = self._announcements.tell(now_s)
            about = [view for view in live if view.future.id in ended]
            for view in about:
                view.told_s = now_s
            self._say((about or live)[-1], text)

    def _give_pulse(self, now_s: float) -> None:
        """Let the page know that the kernel lives, by one view for all."""
        live = [view for view in self._views if view.live is not None and not view.is_settled.is_set()]
        if live and now_s - self._pulsed_s >= PULSE_S and self._bucket.take(1, now_s=now_s):
            pending = [view for view in live if not view.future.done()]
            if pending:
                self._draw(pending[-1], self._snapshot(pending[-1]))

    def _say(self, view: View, text: str) -> None:
        if view.live is None:
            return
        try:
            view.live.say(text)
        except Exception:
            logger.debug("announcement lost display_id=%s", view.display_id, exc_info=True)

    def _draw(self, view: View, snapshot: Snapshot, *, body: str = "") -> None:
        if view.live is not None:
            try:
                can_copy = self._settings().settle == "keep-widget"  # another view is gone before it can be used
                view.live.draw(snapshot, is_cancelling=view.is_cancelling, body=body, can_copy=can_copy)
                self._pulsed_s = self._clock.now()
            except Exception:
                logger.debug("live view lost, static from now on display_id=%s", view.display_id, exc_info=True)
                view.live, view.mode = None, Mode.UPDATED
            else:
                return
        self._publisher.send(self._final(view, snapshot), view.display_id)

    def _settle(self, view: View, snapshot: Snapshot) -> None:
        if view.live is not None and self._settings().settle == "keep-widget":
            self._keep(view, snapshot)
        else:
            self._make_static(view, snapshot)

    def _make_static(self, view: View, snapshot: Snapshot) -> None:
        self._replace(view, snapshot)
        self._failures.settle(view.cell, snapshot, functools.partial(self._replace, view))
        if view.caption_id:
            self._publisher.send(bundles.caption(snapshot), view.caption_id)
        if view.live is not None:
            self._shelf.put(view.live, chars=len(html.parts(snapshot)))
            view.live = None
        self._end(view, snapshot)

    def _close(self, view: View) -> None:
        assert view.live is not None
        try:
            view.live.close()
        except Exception:
            logger.debug("live view not closed display_id=%s", view.display_id, exc_info=True)

    def _end(self, view: View, snapshot: Snapshot) -> None:
        view.end = snapshot if view.live is not None else None
        view.release()
        view.is_settled.set()

    def _replace(self, view: View, snapshot: Snapshot) -> None:
        bundle = self._final(view, snapshot)
        self._publisher.do_now_and_in_the_next_cell(lambda: self._publisher.send(bundle, view.display_id))

    def _keep(self, view: View, snapshot: Snapshot) -> None:
        """Leave the live view, with the end in it; beside it, for readers without widgets, the static form."""
        live, bundle = view.live, self._final(view, snapshot)
        assert live is not None

        def send() -> None:
            live.resend()
            self._publisher.send(bundles.with_widget(bundle, live.model_id), view.display_id)

        self._publisher.do_now_and_in_the_next_cell(send)
        self._publisher.send(bundles.caption(snapshot), view.caption_id)
        self._kept.append(view)
        self._end(view, snapshot)

    def _final(self, view: View, snapshot: Snapshot) -> Bundle:
        return bundles.body(snapshot) if view.caption_id else bundles.card(snapshot, has_html=view.has_html)

    def _snapshot(self, view: View) -> Snapshot:
        if view.end is not None:
            return replace(view.end, reference=view.reference)
        snapshot = take(view.future, now_s=self._clock.wall(), preview=view.preview, reference=view.reference)
        return self._failures.as_shown(view.cell, snapshot)
