# SPDX-License-Identifier: Apache-2.0
"""One shell's outputs: ``show`` is what IPython calls for an ObjectFuture, the hooks serve scripted runs.

A source is shown on the thread of the cell, which creates the output; from then on only the UI thread touches it.
"""

from __future__ import annotations

import functools
import logging
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.displaypub import CapturingDisplayPublisher

from flame_jupyter.display.frontend.history import History
from flame_jupyter.display.frontend.output_updater import OutputUpdater
from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.frontend.ui_thread import UiThread
from flame_jupyter.display.model.snapshot import FutureLike
from flame_jupyter.display.previews.preview_jobs import WORKER_BUDGET_S, Previews
from flame_jupyter.display.render import bundles
from flame_jupyter.display.render.announcements import Announcements
from flame_jupyter.display.render.bundles import Bundle
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.sources.future import FutureSource, SharedByCalls
from flame_jupyter.display.views import mode
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import Facts, InProgram, Mode, Settings
from flame_jupyter.display.views.output import Live, Output
from flame_jupyter.display.views.source import Source
from flamepy.front_ends import monotonic_s

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

logger = logging.getLogger(__name__)

SETTLE_TIMEOUT_S = WORKER_BUDGET_S + 1.0  # for what has ended already: its preview, and its turn
EMPTY: Bundle = {"text/plain": "", "text/html": "<div></div>"}  # keeps a place in the output of the cell
FLUSH_TIMEOUT_S = 5.0  # a few messages through a socket of this machine; longer means that it is stuck


class Connection:
    """An output as others know it: its source (source.py) and its widget. It does not keep the output alive."""

    def __init__(self, output: Output, updater: OutputUpdater, post: Callable[[Callable[[], object]], object]) -> None:
        self._output = weakref.ref(output)
        self._updater = updater
        self._post = post

    def wake(self) -> None:
        self._tell(self._updater.wake)

    def say(self, text: str) -> None:
        self._tell(self._updater.say, text)

    def close(self) -> None:
        self._tell(self._updater.close)

    def answer(self, ask: str, press: str) -> None:
        self._tell(self._updater.answer, ask, press)

    def _tell(self, event: Callable[..., object], *arguments: str) -> None:
        if (output := self._output()) is not None:
            self._post(functools.partial(event, output, *arguments))


class DisplayManager:
    def __init__(self, shell: InteractiveShell, settings: Callable[[], Settings] = Settings) -> None:
        self._shell: Any = shell  # IPython's shells are not typed, and a kernel's has more than the base class
        self._settings = settings
        self._publisher = OutputPublisher(self._publish)
        self._failures = CellFailures()
        announcements, clock = Announcements(), Clock()
        self._updater = OutputUpdater(self._publisher, clock, self._failures, announcements)
        self._ui = UiThread(self._updater.tick)
        self._previews = Previews(self._ui.post, lambda: settings().limits, clock.now)
        self._calls = SharedByCalls(settings, self._previews, self._failures, announcements)
        self._history = History(shell)
        self._page: Any = shell.display_pub
        self._shown_by_scripts: list[Output] = []
        self._live: weakref.WeakSet[Output] = weakref.WeakSet()  # of those of which there may be many

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
        self._history.add(future)
        self.show_source(FutureSource(future, self._calls, cell=self._cell()))

    def show_source(self, source: Source) -> None:
        """Display ``source`` in the output of the running cell, and keep it up to date until its content is final."""
        settings, is_scripted = self._settings(), self._is_scripted()
        first = source.first(now_s=time.time())
        chosen = Mode.PRINTED if first.is_final else mode.choose(self._facts(source), settings)
        cell = "" if source.in_program is InProgram.FOLLOWED else self._cell()
        output = Output(source, chosen, _new_id(), cell=cell, has_html=settings.display != "text")
        output.is_kept = chosen is Mode.LIVE and mode.is_voila()
        appears_later = source.appears_after_s > 0 and chosen in (Mode.LIVE, Mode.UPDATED) and not output.is_kept
        if appears_later:
            output.appears_s = monotonic_s() + source.appears_after_s
        else:
            output.shown = first
        connection = Connection(output, self._updater, self._ui.post)
        if chosen is Mode.LIVE:
            output.live = self._open_live(source, first.empty() if appears_later else first, connection)
            if output.live is None:
                output.mode = Mode.SETTLED_ONCE if is_scripted else Mode.UPDATED
        self._publish_first(output, first, is_empty=appears_later)
        if chosen is Mode.PRINTED:
            self._leave(output, first)
            return
        if output.live is not None and source.is_one_of_many:
            self._live.add(output)
        if is_scripted:
            self._shown_by_scripts.append(output)
        source.attach(connection)
        self._ui.post(functools.partial(self._updater.add, output))

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
        mine = [output for output in self._shown_by_scripts if output.cell == cell]
        if getattr(result, "success", True):
            self._wait_for(mine, timeout_s=self._settings().settle_timeout_s)
        ended = [output for output in self._shown_by_scripts if output.is_ended()]
        if ended:
            self._ui.post(self._updater.wake)  # outputs look at their own pace
        self._wait_for(ended, timeout_s=SETTLE_TIMEOUT_S)
        self._shown_by_scripts = [output for output in self._shown_by_scripts if not output.is_settled.is_set()]
        self._ui.call(functools.partial(self._leave_cell, mine), timeout_s=FLUSH_TIMEOUT_S)

    def close(self, *, kernel_ends: bool = False) -> None:
        """Everything becomes static as it is; the thread ends. Idempotent."""
        if self._ui.is_running:
            self._ui.call(functools.partial(self._retire, kernel_ends=kernel_ends), timeout_s=FLUSH_TIMEOUT_S)
            self._ui.stop()

    def close_with_kernel(self) -> None:
        """Best effort, for a page that outlives its kernel: what a live view shows would be gone with it."""
        self.close(kernel_ends=True)

    def _retire(self, *, kernel_ends: bool = False) -> None:
        self._previews.close()
        self._updater.retire(kernel_ends=kernel_ends)
        self._publisher.forget()

    def _publish_first(self, output: Output, first: Content, *, is_empty: bool) -> None:
        if output.live is not None:
            output.caption_id = _new_id()
            self._publish(first.caption(), display_id=output.caption_id, is_update=False)
            shown = bundles.with_widget(first.body(), output.live.model_id)
        else:
            shown = EMPTY if is_empty else first.whole(has_html=output.has_html)
        self._publish(shown, display_id=output.display_id, is_update=False)

    def _leave(self, output: Output, shown: Content) -> None:
        """It was printed, and does not change by itself; what is said of many calls may (folding.py)."""
        if shown.is_final:
            output.source.settled(functools.partial(self._updater.replace, output))
        if self._failures.has_changed():
            self._ui.post(self._updater.wake)

    def _open_live(self, source: Source, first: Content, connection: Connection) -> Live | None:
        """None when widgets do not work here."""
        try:
            from flame_jupyter.display.widgets.live_widget import LiveWidget

            return LiveWidget(source.widget, first, connection.answer)
        except Exception:
            # widget libraries of unmatched versions, a kernel without comms: the static form always works
            logger.debug("live view not available", exc_info=True)
            return None

    def _wait_for(self, outputs: Sequence[Output], *, timeout_s: float) -> None:
        deadline_s = monotonic_s() + timeout_s
        try:
            for output in outputs:
                if not output.is_settled.wait(max(deadline_s - monotonic_s(), 0.0)):
                    return
        except KeyboardInterrupt:
            logger.debug("wait for displayed futures interrupted cell=%s", self._cell())

    def _leave_cell(self, mine: list[Output]) -> None:
        self._updater.refresh(mine)
        self._publisher.end_cell()

    def _facts(self, source: Source) -> Facts:
        return Facts(
            has_kernel=self.has_kernel,
            is_scripted=self._is_scripted(),
            has_widgets=bool(source.widget) and mode.has_widgets(),
            live_widgets=sum(output.is_live for output in self._live) if source.is_one_of_many else 0,
            in_program=source.in_program,
            keeps_widget=source.keeps_widget,
        )

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
