# SPDX-License-Identifier: Apache-2.0
"""The form of a live output in the browser: one anywidget that draws what it is told and says which button was pressed.

Imported only when one is shown: ipywidgets and anywidget may be missing (mode.py).
"""

from __future__ import annotations

from dataclasses import asdict

import traitlets

from flame_jupyter.display.views.live_output import Content
from flame_jupyter.display.widgets.code import LIVE_OUTPUT_SCRIPT, LIVE_OUTPUT_STYLE
from flame_jupyter.display.widgets.future_widget import LiveWidget, OnAsk, OwnWidget


class PaneWidget(OwnWidget):
    """``facts``: label, status and buttons; ``tabs``: what is below them."""

    _esm = LIVE_OUTPUT_SCRIPT
    _css = LIVE_OUTPUT_STYLE
    facts = traitlets.Dict().tag(sync=True)
    tabs: traitlets.List[dict[str, str]] = traitlets.List().tag(sync=True)


class LiveOutputView(LiveWidget):
    """What live_output_updater.py holds of a widget."""

    _widget: PaneWidget

    def __init__(self, content: Content, on_ask: OnAsk) -> None:
        super().__init__(PaneWidget(facts=facts_of(content), tabs=tabs_of(content)), on_ask)

    def draw(self, content: Content) -> None:
        """One message with what has changed."""
        with self._widget.hold_sync():
            self._widget.facts = facts_of(content)
            self._widget.tabs = tabs_of(content)
            self._tell_known()

    def _empty(self) -> None:
        self._widget.tabs = []


def facts_of(content: Content) -> dict[str, object]:
    return {
        "label": content.title,
        "status": content.status,
        "final": content.is_final,
        "buttons": [asdict(button) for button in content.buttons],
    }


def tabs_of(content: Content) -> list[dict[str, str]]:
    """Without tabs there is one, whose title is not seen."""
    if not content.tabs:
        return [{"id": "all", "title": "", "html": content.html}]
    return [asdict(tab) for tab in content.tabs]
