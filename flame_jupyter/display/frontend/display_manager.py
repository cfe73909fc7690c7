# SPDX-License-Identifier: Apache-2.0
"""One shell's display of futures: ``show`` is what IPython calls for an ObjectFuture, the hooks serve scripted runs.

``show`` runs on the thread of the cell and creates the output; from then on only the UI thread touches it.
"""

from __future__ import annotations

import functools
import logging
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher

from flame_jupyter.display.frontend.history import History
from flame_jupyter.display.frontend.live_output_updater import LiveOutputUpdater
from flame_jupyter.display.frontend.preview_jobs import WORKER_BUDGET_S, preview_within_budget
from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.frontend.ui_thread import UiThread
from flame_jupyter.display.frontend.view_updater import FutureViewUpdater
from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.snapshot import FutureLike, Snapshot, take
from flame_jupyter.display.render import bundles
from flame_jupyter.display.render.bundles import Bundle
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.views import mode
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.future_view import Shelf, View
from flame_jupyter.display.views.live_output import Content, LiveOutput, LiveOutputWidget, Source
from flame_jupyter.display.views.mode import Facts, Mode, Settings
from flamepy.front_ends import monotonic_s

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

logger = logging.getLogger(__name__)

SETTLE_TIMEOUT_S = WORKER_BUDGET_S + 1.0  # for what has ended already: its preview, and its turn
EMPTY: Bundle = {"text/plain": "", "text/html": "<div></div>"}  # keeps a place in the output of the cell
FLUSH_TIMEOUT_S = 5.0  # a few messages through a socket of this machine; longer means that it is stuck


class DisplayManager:
    def __init__(self, shell: InteractiveShell, settings: Callable[[], Settings] = Settings) -> None:
        self._shell: Any = shell  # IPython's shells are not typed, and a kernel's has more than the base class
        self._settings = settings
        self._ui = UiThread(self._tick)
        self._publisher = OutputPublisher(self._publish)
        self._failures = CellFailures()
        self._shelf = Shelf()
        self._future_views = FutureViewUpdater(
            self._publisher, self._ui.post, settings, failures=self._failures, shelf=self._shelf
        )
        self._live_outputs = LiveOutputUpdater(self._publisher, Clock(), self._shelf)
        self._history = History(shell)
        self._page: Any = shell.display_pub
        self._shown_by_scripts: list[View | LiveOutput] = []
        self._live: list[View] = []

    @property
    def has_kernel(self) -> bool:
        """Can outputs be updated later?"""
        return getattr(self._shell, "kernel", None) is not None

    @property
    def is_watched(self) -> bool:
        """Is there a person who sees what changes after the cell has ended?"""
        return self.has_kernel and not self._is_scripted()

    @property
    def settings(self) -> Settings:
        return self._settings()

    def show(self, future: FutureLike) -> None:
        """Display ``future`` in the output of the running cell, and keep it up to date."""
        settings = self._settings()
        has_html = settings.display != "text"
        snapshot = take(future, now_s=time.time())
        self._failures.show(self._cell(), snapshot.id)
        self._history.add(future)
        if snapshot.state.is_terminal:
            self._show_ended(future, snapshot, has_html=has_html)
            return
        chosen = mode.choose(self._facts(), settings)
        if chosen is Mode.LIVE and self._show_live(future, snapshot):
            return
        if chosen is Mode.LIVE:
            chosen = Mode.SETTLED_ONCE if self._is_scripted() else Mode.UPDATED
        view = View(future, chosen, _new_id(), cell=self._cell(), has_html=has_html)
        self._publish(bundles.card(snapshot, has_html=has_html), display_id=view.display_id, is_update=False)
        if chosen is not Mode.PRINTED:
            self._keep_up_to_date(view, messages=1)
            if chosen is Mode.SETTLED_ONCE:
                self._shown_by_scripts.append(view)

    def _show_ended(self, future: FutureLike, snapshot: Snapshot, *, has_html: bool) -> None:
        if snapshot.state is CallState.SUCCEEDED:
            made = preview_within_budget(future, self._settings().limits)
            snapshot = take(future, now_s=time.time(), preview=made)
        display_id = _new_id()

        def replace_it(newer: Snapshot) -> None:
            bundle = bundles.card(newer, has_html=has_html)
            self._publisher.do_now_and_in_the_next_cell(lambda: self._publisher.send(bundle, display_id))

        shown = self._failures.as_shown(self._cell(), snapshot)
        self._publish(bundles.card(shown, has_html=has_html), display_id=display_id, is_update=False)
        self._failures.settle(self._cell(), shown, replace_it)
        if self._failures.has_changed():
            self._ui.post(self._future_views.wake)

    def show_live_output(
        self,
        source: Source,
        *,
        after_s: float = 0.0,
        is_awaited: bool = False,
        is_followed: bool = False,
        is_plain: bool = False,
    ) -> LiveOutput | None:
        """Display ``source`` in the output of the running cell, until its content is final.

        after_s: what ends sooner is shown only as ended; the title is there at once.
        is_awaited: the cell of a program waits for the end; is_followed: it does not, but shows the end when a later
        cell brings it. is_plain: it has nothing that needs a widget.
        Returns None when nothing changes any more: it is final, or no page shows a change.
        """
        settings = self._settings()
        has_html = settings.display != "text"
        chosen = mode.choose(replace(self._facts(), live_widgets=0), settings)
        if self._is_scripted():
            chosen = Mode.SETTLED_ONCE if is_awaited or is_followed else Mode.PRINTED
        elif is_plain and chosen is Mode.LIVE:
            chosen = Mode.UPDATED
        content = source.content(now_s=time.time())
        output = LiveOutput(source, chosen, _new_id(), cell="" if is_followed else self._cell(), has_html=has_html)
        is_over = content.is_final or chosen is Mode.PRINTED
        output.is_kept = chosen is Mode.LIVE and mode.is_voila()
        waits = after_s > 0 and chosen in (Mode.LIVE, Mode.UPDATED) and not is_over and not output.is_kept
        if waits:
            output.appears_s = monotonic_s() + after_s
        if chosen is Mode.LIVE and not is_over:
            output.live = self._open_live(output, content.empty() if waits else content)
            output.mode = chosen if output.live is not None else Mode.UPDATED
        if output.live is not None:
            output.caption_id = _new_id()
            output.drawn = None if waits else content
            self._publish(content.caption(), display_id=output.caption_id, is_update=False)
            body = bundles.with_widget(content.body(), output.live.model_id)
            self._publish(body, display_id=output.display_id, is_update=False)
        else:
            first = EMPTY if waits else content.whole(has_html=has_html)
            self._publish(first, display_id=output.display_id, is_update=False)
        if is_over:
            return None
        self._ui.post(functools.partial(self._live_outputs.add, output, messages=1 if output.live is None else 4))
        if chosen is Mode.SETTLED_ONCE:
            self._shown_by_scripts.append(output)
        return output

    def wake(self) -> None:
        """Something that an output shows has changed. From any thread."""
        self._ui.post(self._live_outputs.wake)

    def close_output(self, output: LiveOutput) -> None:
        """The output becomes static. From any thread."""
        self._ui.post(functools.partial(self._live_outputs.close, output))

    def begin_cell(self, _info: object = None) -> None:
        """``pre_run_cell``: a program drops what is sent between two of its cells, so it is sent again."""
        if self._ui.is_running and self._is_scripted():
            self._ui.post(self._publisher.begin_cell)

    def end_cell(self, result: Any = None) -> None:
        """``post_run_cell``: a program reads outputs until the cell ends, so the cell waits for its futures.

        In any case, big results of earlier cells that only the history holds make room.
        """
        for future in self._history.left():
            self._ui.post(future.spill)
        if not self._ui.is_running or not self._is_scripted():
            return
        cell = self._cell()
        mine = [view for view in self._shown_by_scripts if view.cell == cell]
        if getattr(result, "success", True):
            self._wait_for(mine, timeout_s=self._settings().settle_timeout_s)
        ended = [view for view in self._shown_by_scripts if view.is_ended()]
        if ended:
            self.wake()  # outputs look at their own pace
        self._wait_for(ended, timeout_s=SETTLE_TIMEOUT_S)
        self._shown_by_scripts = [view for view in self._shown_by_scripts if not view.is_settled.is_set()]
        self._ui.call(functools.partial(self._leave_cell, mine), timeout_s=FLUSH_TIMEOUT_S)

    def close(self, *, kernel_ends: bool = False) -> None:
        """Everything becomes static as it is; the thread ends. Idempotent."""
        if self._ui.is_running:
            self._ui.call(functools.partial(self._retire, kernel_ends=kernel_ends), timeout_s=FLUSH_TIMEOUT_S)
            self._ui.stop()

    def close_with_kernel(self) -> None:
        """Best effort, for a page that outlives its kernel: what a live view shows would be gone with it."""
        self.close(kernel_ends=True)

    def _tick(self) -> float | None:
        waits_s = [wait_s for wait_s in (self._future_views.tick(), self._live_outputs.tick()) if wait_s is not None]
        return min(waits_s, default=None)

    def _retire(self, *, kernel_ends: bool = False) -> None:
        self._future_views.retire(kernel_ends=kernel_ends)
        self._live_outputs.retire(kernel_ends=kernel_ends)
        if kernel_ends:
            self._shelf.drop()
        else:
            self._shelf.clear()
        self._publisher.forget()

    def _open_live(self, output: LiveOutput, content: Content) -> LiveOutputWidget | None:
        try:
            from flame_jupyter.display.widgets.live_output_widget import LiveOutputView

            known = weakref.ref(output)  # the widget outlives the output, whose source may hold what is big

            def ask(*asked: str) -> None:
                if (here := known()) is not None:
                    self._ui.post(functools.partial(self._live_outputs.answer, here, *asked))

            return LiveOutputView(content, ask)
        except Exception:
            logger.debug("live output not available", exc_info=True)
            return None

    def _show_live(self, future: FutureLike, snapshot: Snapshot) -> bool:
        """Two outputs: a caption that always reads, and below it the widget. False when widgets do not work here.

        snapshot: as it was when it had not ended; an end that came since is news for the updater of views.
        """
        view = View(future, Mode.LIVE, _new_id(), cell=self._cell(), caption_id=_new_id())
        try:
            from flame_jupyter.display.widgets.future_widget import LiveView

            def ask(*asked: str) -> None:
                self._ui.post(functools.partial(self._future_views.answer, view, *asked))

            live = LiveView(snapshot, ask)
        except Exception:
            # widget libraries of unmatched versions, a kernel without comms: the static form always works
            logger.debug("live view not available", exc_info=True)
            return False
        view.live = live
        self._live.append(view)
        view.drawn, view.noted = (snapshot.state, snapshot.output, False, snapshot.waits_for), snapshot.state
        self._publish(bundles.caption(snapshot), display_id=view.caption_id, is_update=False)
        self._publish(bundles.live(snapshot, live.model_id), display_id=view.display_id, is_update=False)
        self._keep_up_to_date(view, messages=4)
        if self._is_scripted():
            self._shown_by_scripts.append(view)
        return True

    def _keep_up_to_date(self, view: View, *, messages: int) -> None:
        self._ui.post(functools.partial(self._future_views.add, view, messages=messages))
        view.future.add_done_callback(lambda _future: self._ui.post(self._future_views.wake))

    def _wait_for(self, views: Sequence[View | LiveOutput], *, timeout_s: float) -> None:
        deadline_s = monotonic_s() + timeout_s
        try:
            for view in views:
                if not view.is_settled.wait(max(deadline_s - monotonic_s(), 0.0)):
                    return
        except KeyboardInterrupt:
            logger.debug("wait for displayed futures interrupted cell=%s", self._cell())

    def _leave_cell(self, mine: Sequence[View | LiveOutput]) -> None:
        self._future_views.refresh([each for each in mine if isinstance(each, View)])
        self._live_outputs.refresh([each for each in mine if isinstance(each, LiveOutput)])
        self._publisher.end_cell()

    def _facts(self) -> Facts:
        return Facts(
            has_kernel=self.has_kernel,
            is_scripted=self._is_scripted(),
            has_widgets=mode.has_widgets(),
            live_widgets=self._live_count(),
        )

    def _live_count(self) -> int:
        """How many live views follow a call that is pending, or has ended just now."""
        self._live = [view for view in self._live if view.live is not None and not view.is_settled.is_set()]
        return len(self._live)

    def _is_scripted(self) -> bool:
        return mode.is_scripted(self._request())

    def _cell(self) -> str:
        header = self._request().get("header")
        return str(header.get("msg_id", "")) if isinstance(header, Mapping) else ""

    def _request(self) -> Mapping[str, object]:
        """The message that made the kernel run this cell; empty outside a kernel."""
        get_parent = getattr(self._shell, "get_parent", None)
        request = get_parent() if get_parent is not None else None
        return request if isinstance(request, Mapping) else {}

    def _publish(self, bundle: Bundle, *, display_id: str, is_update: bool) -> None:
        """A new output goes where the cell wants it, into ``%%capture`` too; what changes later goes to the page."""
        to = self._shell.display_pub
        if is_update:
            to = self._page = to if not isinstance(to, CapturingDisplayPublisher) else self._page
        to.publish(data=bundle, metadata={}, transient={"display_id": display_id}, update=is_update)


def _new_id() -> str:
    return f"flame-{uuid.uuid4().hex}"
