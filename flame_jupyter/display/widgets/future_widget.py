# SPDX-License-Identifier: Apache-2.0
"""The live view: one anywidget per pending future, told what to draw, telling which button was pressed.

``LiveWidget`` is what it has in common with a live output (live_output_widget.py). Imported only when a view is wanted:
ipywidgets and anywidget may be missing (mode.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import anywidget
import traitlets

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import counted, head, printed_text, tail
from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render.html import short_value
from flame_jupyter.display.render.text import facts_text, label, state_text
from flame_jupyter.display.widgets.code import FUTURE_VIEW_SCRIPT, FUTURE_VIEW_STYLE

logger = logging.getLogger(__name__)

OnAsk = Callable[[str, str], object]

LOG_CHARS = 4096
HEADLINE_CHARS = 1000
KNOWN_PRESSES = 20
HINT = (
    "Stop this call. While a cell is running this may take effect only when the cell ends: "
    "use the notebook's stop button to interrupt the cell."
)


class OwnWidget(anywidget.AnyWidget):
    """heard: the presses of buttons that what is drawn knows of. over: the id of a model that is forgotten here.

    A page that still shows such a one keeps what it has drawn; another page throws the model away.
    """

    heard: traitlets.List[str] = traitlets.List().tag(sync=True)
    over = traitlets.Unicode().tag(sync=True)


class LiveWidget:
    """A widget and its presses. All methods but the constructor are called from the UI thread only.

    on_ask: gets what is asked, and which press of a button it was, for ``know``. asks: what may be asked, None = the
    owner decides.
    """

    def __init__(self, widget: OwnWidget, on_ask: OnAsk, asks: tuple[str, ...] | None = None) -> None:
        self._widget = widget
        self._on_ask = on_ask
        self._asks = asks
        self._known: deque[str] = deque(maxlen=KNOWN_PRESSES)
        widget.on_msg(self._heard)

    @property
    def model_id(self) -> str:
        return str(self._widget.model_id)

    @property
    def is_open(self) -> bool:
        return self._widget.comm is not None

    def resend(self) -> None:
        self._widget.send_state()

    def release(self) -> None:
        """Pages keep what they show. The widget is closed here without a word: a page would take it away."""
        comm = self._widget.comm
        if comm is not None:
            with self._widget.hold_sync():
                self._empty()
                self._widget.over = self.model_id
            comm.publish_msg = lambda *_, **__: None
        self.close()

    def close(self) -> None:
        """The layout is a widget of its own and stays registered unless it is closed too."""
        self._widget.on_msg(self._heard, remove=True)
        self._widget.layout.close()
        self._widget.close()

    def know(self, press: str) -> None:
        """What is drawn from now on knows of this press: until then, the page shows the button as pressed."""
        self._known.append(press)

    def _tell_known(self) -> None:
        self._widget.heard = list(self._known)

    def _empty(self) -> None:
        """Without what is big: pages keep what they have drawn."""

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        # on the main thread or on a subshell's: look, enqueue, return
        ask = content.get("ask") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(ask, str) or (self._asks and ask not in self._asks):
            logger.debug("message of a page ignored content=%r", content)
            return
        self._on_ask(ask, str(content.get("press", "")))


class FutureWidget(OwnWidget):
    """``view``: small facts, changed with each state; ``log``: the tail of the output; ``body``: HTML, at the end.

    ``say``: what a screen reader is told; it may be about other calls too (announcements.py).
    """

    _esm = FUTURE_VIEW_SCRIPT
    _css = FUTURE_VIEW_STYLE
    view = traitlets.Dict().tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    log_title = traitlets.Unicode().tag(sync=True)
    body = traitlets.Unicode().tag(sync=True)
    say = traitlets.Unicode().tag(sync=True)


class LiveView(LiveWidget):
    """What the updater of views holds of a widget."""

    _widget: FutureWidget

    def __init__(self, snapshot: Snapshot, on_ask: OnAsk) -> None:
        log, log_title = log_of(snapshot)
        widget = FutureWidget(view=view_of(snapshot), log=log, log_title=log_title)
        super().__init__(widget, on_ask, ("cancel", "reference", "draw"))

    def draw(self, snapshot: Snapshot, *, is_cancelling: bool = False, body: str = "", can_copy: bool = False) -> None:
        """One message with what has changed. can_copy: the view stays, and offers a reference to the result."""
        log, log_title = log_of(snapshot)
        with self._widget.hold_sync():
            self._widget.log_title = log_title
            self._widget.log = log
            self._widget.body = body
            self._widget.view = view_of(snapshot, is_cancelling=is_cancelling, can_copy=can_copy)
            self._tell_known()

    def say(self, text: str) -> None:
        self._widget.say = text

    def _empty(self) -> None:
        self._widget.body = self._widget.log = ""


def view_of(snapshot: Snapshot, *, is_cancelling: bool = False, can_copy: bool = False) -> dict[str, object]:
    """Plain data for the script. ``since`` and ``now`` are the kernel's clock; the script knows its own."""
    return {
        "state": snapshot.state.value,
        "icon": snapshot.state.icon,
        "word": snapshot.word,
        "tone": snapshot.state.tone,
        "label": label(snapshot),
        "ticks": snapshot.state.is_pending,
        "since": snapshot.since_s,
        "now": snapshot.taken_s,
        "time": state_text(snapshot).removeprefix(snapshot.word).strip(" ,") if not snapshot.state.is_pending else "",
        "value": short_value(snapshot),
        "facts": facts_text(snapshot),
        "error": head(snapshot.problem.headline, max_chars=HEADLINE_CHARS) if snapshot.problem else "",
        "cancelling": is_cancelling,
        "hint": HINT,
        "copies": can_copy and snapshot.state is CallState.SUCCEEDED,
        "reference": snapshot.reference,
    }


def log_of(snapshot: Snapshot) -> tuple[str, str]:
    """The tail of the output and its title."""
    text = printed_text(snapshot.output)
    return tail(text, max_chars=LOG_CHARS), f"Output, {counted(text.count(chr(10)) + 1, 'line')}" if text else ""
