# SPDX-License-Identifier: Apache-2.0
"""The live form of a pane: one anywidget that draws what it is told and says which button was pressed.

Imported only when a pane is shown live: ipywidgets and anywidget may be missing (mode.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict

import anywidget
import traitlets

from flame_jupyter.display.pane import Content
from flame_jupyter.display.pane_script import SCRIPT, STYLE

logger = logging.getLogger(__name__)


class PaneWidget(anywidget.AnyWidget):
    """``facts``: label, status and buttons; ``tabs``: what is below them."""

    _esm = SCRIPT
    _css = STYLE
    facts = traitlets.Dict().tag(sync=True)
    tabs: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)


class PaneView:
    """What panes.py holds of a widget. All methods but the constructor are called from the UI thread only."""

    def __init__(self, content: Content, on_ask: Callable[[str], object]) -> None:
        self._on_ask = on_ask
        self._widget = PaneWidget(facts=facts_of(content), tabs=tabs_of(content))
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
            self._widget.facts = facts_of(content)
            self._widget.tabs = tabs_of(content)

    def close(self) -> None:
        """The layout is a widget of its own and stays registered unless it is closed too."""
        self._widget.on_msg(self._heard, remove=True)
        self._widget.layout.close()
        self._widget.close()

    def _heard(self, _widget: object, content: object, _buffers: object) -> None:
        # on the main thread or on a subshell's: look, enqueue, return
        if isinstance(content, dict) and isinstance(content.get("ask"), str):
            self._on_ask(content["ask"])
        else:
            logger.debug("pane message ignored content=%r", content)


def facts_of(content: Content) -> dict[str, object]:
    return {
        "label": content.title,
        "status": content.status,
        "buttons": [asdict(button) for button in content.buttons],
    }


def tabs_of(content: Content) -> list[dict[str, str]]:
    """Without tabs there is one, whose title nobody sees."""
    if not content.tabs:
        return [{"id": "all", "title": "", "html": content.html}]
    return [asdict(tab) for tab in content.tabs]
