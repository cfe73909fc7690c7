# SPDX-License-Identifier: Apache-2.0
"""The live form of an output: an anywidget that draws what it is told, and tells which button was pressed.

What it draws are its traits, the keys of ``Content.traits``; its kinds differ in these and in their scripts. Imported
only when one is shown: ipywidgets and anywidget may be missing (mode.py).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import ClassVar

import anywidget
import traitlets

from flame_jupyter.display.views.content import Content
from flame_jupyter.display.widgets.code import (
    FUTURE_SCRIPT,
    FUTURE_STYLE,
    PAGE_SCRIPT,
    PAGE_STYLE,
)

logger = logging.getLogger(__name__)

OnAsk = Callable[[str, str], object]

KNOWN_PRESSES = 20


class OutputWidget(anywidget.AnyWidget):
    """heard: the presses of buttons that what is drawn knows of. over: the id of a model that is forgotten here.

    A page that still shows such a one keeps what it has drawn; another page throws the model away.
    bulky: the traits that hold much.
    """

    bulky: ClassVar[tuple[str, ...]]
    heard: traitlets.List[str] = traitlets.List().tag(sync=True)
    over = traitlets.Unicode().tag(sync=True)


class FutureWidget(OutputWidget):
    """``view``: small facts, changed with each state; ``log``: the tail of the output; ``body``: HTML, at the end.

    ``say``: what a screen reader is told; it may be about other calls too (announcements.py).
    """

    _esm = FUTURE_SCRIPT
    _css = FUTURE_STYLE
    bulky = ("log", "body")
    view = traitlets.Dict().tag(sync=True)
    log = traitlets.Unicode().tag(sync=True)
    log_title = traitlets.Unicode().tag(sync=True)
    body = traitlets.Unicode().tag(sync=True)
    say = traitlets.Unicode().tag(sync=True)


class PageWidget(OutputWidget):
    """``facts``: label, status and buttons; ``tabs``: what is below them."""

    _esm = PAGE_SCRIPT
    _css = PAGE_STYLE
    bulky = ("tabs",)
    facts = traitlets.Dict().tag(sync=True)
    tabs: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)


KINDS: dict[str, type[OutputWidget]] = {"future": FutureWidget, "page": PageWidget}


class LiveWidget:
    """A widget and its presses. All methods but the constructor are called from the UI thread only.

    kind: of ``KINDS``. on_ask: gets what is asked, and which press of a button it was, for ``know``.
    """

    def __init__(self, kind: str, content: Content, on_ask: OnAsk) -> None:
        self._widget = KINDS[kind](**content.traits())
        self._on_ask = on_ask
        self._known: deque[str] = deque(maxlen=KNOWN_PRESSES)
        self._widget.on_msg(self._heard)

    @property
    def model_id(self) -> str:
        return str(self._widget.model_id)

    @property
    def is_open(self) -> bool:
        return self._widget.comm is not None

    def draw(self, content: Content) -> None:
        """One message with what has changed."""
        with self._widget.hold_sync():
            for name, value in content.traits().items():
                setattr(self._widget, name, value)
            self._widget.heard = list(self._known)

    def say(self, text: str) -> None:
        self._widget.say = text

    def resend(self) -> None:
        self._widget.send_state()

    def release(self) -> None:
        """Pages keep what they show. The widget is closed here without a word: a page would take it away."""
        comm = self._widget.comm
        if comm is not None:
            with self._widget.hold_sync():
                for name in self._widget.bulky:
                    setattr(self._widget, name, type(getattr(self._widget, name))())
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

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        # on the main thread or on a subshell's: look, enqueue, return
        ask = content.get("ask") if isinstance(content, dict) else None
        if not isinstance(content, dict) or not isinstance(ask, str):
            logger.debug("message of a page ignored content=%r", content)
            return
        self._on_ask(ask, str(content.get("press", "")))
