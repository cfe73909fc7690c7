# SPDX-License-Identifier: Apache-2.0
"""The live view: one anywidget per pending future, told what to draw, telling which button was pressed.

Imported only when a view is wanted: ipywidgets and anywidget may be missing (mode.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anywidget
import traitlets

from flame_jupyter.display.html import short_value
from flame_jupyter.display.script import SCRIPT, STYLE
from flame_jupyter.display.snapshot import Snapshot
from flame_jupyter.display.text import facts_text, label, state_text
from flame_jupyter.display.words import counted, head, printed_text, tail

logger = logging.getLogger(__name__)

LOG_CHARS = 4096
HEADLINE_CHARS = 1000
HINT = (
    "Stop this call. While a cell is running this may take effect only when the cell ends: "
    "use the notebook's stop button to interrupt the cell."
)


class FutureWidget(anywidget.AnyWidget):
    """``view``: small facts, changed with each state; ``log``: the tail of the output; ``body``: HTML, at the end.

    ``say``: what a screen reader is told; it may be about other calls too (news.py).
    """

    _esm = SCRIPT
    _css = STYLE
    view = traitlets.Dict().tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    log_title = traitlets.Unicode().tag(sync=True)
    body = traitlets.Unicode().tag(sync=True)
    say = traitlets.Unicode().tag(sync=True)


class LiveView:
    """What the desk holds of a widget. All methods but the constructor are called from the UI thread only."""

    def __init__(self, snapshot: Snapshot, on_ask: Callable[[str], object]) -> None:
        self._on_ask = on_ask
        log, log_title = log_of(snapshot)
        self._widget = FutureWidget(view=view_of(snapshot), log=log, log_title=log_title)
        self._widget.on_msg(self._heard)

    @property
    def model_id(self) -> str:
        return str(self._widget.model_id)

    def draw(self, snapshot: Snapshot, *, is_cancelling: bool = False, body: str = "", can_copy: bool = False) -> None:
        """One message with what has changed. can_copy: the view stays, and offers a reference to the result."""
        log, log_title = log_of(snapshot)
        with self._widget.hold_sync():
            self._widget.log_title = log_title
            self._widget.log = log
            self._widget.body = body
            self._widget.view = view_of(snapshot, is_cancelling=is_cancelling, can_copy=can_copy)

    def say(self, text: str) -> None:
        self._widget.say = text

    def resend(self) -> None:
        self._widget.send_state()

    def close(self) -> None:
        """The layout is a widget of its own and stays registered unless it is closed too."""
        self._widget.on_msg(self._heard, remove=True)
        self._widget.layout.close()
        self._widget.close()

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        # on the main thread or on a subshell's: look, enqueue, return
        if isinstance(content, dict) and content.get("ask") in ("cancel", "reference"):
            self._on_ask(content["ask"])
        else:
            logger.debug("live view message ignored content=%r", content)


def view_of(snapshot: Snapshot, *, is_cancelling: bool = False, can_copy: bool = False) -> dict[str, object]:
    """Plain data for the script. ``since`` and ``now`` are the kernel's clock; the script knows its own."""
    look = snapshot.look
    return {
        "state": snapshot.state,
        "icon": look.icon,
        "word": look.word,
        "tone": look.tone,
        "label": label(snapshot),
        "ticks": snapshot.is_pending,
        "since": snapshot.since_s,
        "now": snapshot.taken_s,
        "time": state_text(snapshot).removeprefix(look.word).strip(" ,") if not snapshot.is_pending else "",
        "value": short_value(snapshot),
        "facts": facts_text(snapshot),
        "error": head(snapshot.problem.headline, max_chars=HEADLINE_CHARS) if snapshot.problem else "",
        "cancelling": is_cancelling,
        "hint": HINT,
        "copies": can_copy and snapshot.state == "succeeded",
        "reference": snapshot.reference,
    }


def log_of(snapshot: Snapshot) -> tuple[str, str]:
    """The tail of the output and its title."""
    text = printed_text(snapshot.output)
    return tail(text, max_chars=LOG_CHARS), f"Output, {counted(text.count(chr(10)) + 1, 'line')}" if text else ""
