# SPDX-License-Identifier: Apache-2.0
"""The status panel of a Runner: engine, package, services and calls, once a second while something changes.

Its facts come from outside: what a notebook knows of its Runner is not this package's
concern.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from flame_jupyter.display.model.formatting import clock_text, counted
from flame_jupyter.display.render.html import FACE, MONO, MUTED, folded, scrolled
from flame_jupyter.display.render.table import cell, table
from flame_jupyter.display.views.content import Button
from flame_jupyter.display.views.page_content import PageContent
from flame_jupyter.display.views.source import Source
from flame_jupyter.tables import table_text

logger = logging.getLogger(__name__)

MAX_BODY_PX = 180  # a status is looked at beside one's work, not instead of it
OPEN_LINES = 6  # that fit into it, below the buttons; with more, the services are folded away until the user asks


@dataclass(frozen=True)
class PanelFacts:
    """A Runner at one moment. rows: name and words, such as ("Engine", "embedded, 2 of 4 workers busy").

    columns, services: the table of its services, as text.
    """

    name: str
    rows: tuple[tuple[str, str], ...]
    columns: tuple[str, ...] = ()
    services: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class Action:
    """What a button does; in a thread of its own, because closing a Runner waits for its calls."""

    ask: str
    text: str
    title: str
    act: Callable[[], object]


class Panel(Source):
    """ask: what is true now, None = the Runner has closed, which ends the panel."""

    refresh_s = 1.0

    def __init__(self, ask: Callable[[], PanelFacts | None], actions: Sequence[Action] = ()) -> None:
        self._ask = ask
        self._actions = tuple(actions)
        self._last: PanelFacts | None = None
        self._acting = ""
        self._problem = ""
        self._since_s = 0.0

    def content(self, *, now_s: float) -> PageContent:
        facts = self._ask()
        is_final = facts is None
        if facts is not None and facts != self._last:
            self._last, self._since_s = facts, now_s
        shown = self._last or PanelFacts("", ())
        title = f"Flame Runner {shown.name}".rstrip()
        state = f"closed at {clock_text(now_s)}" if is_final else f"open at {clock_text(self._since_s)}"
        rows = (*shown.rows, ("State", state)) if is_final else shown.rows
        buttons = [Button(each.ask, each.text, each.title, not self._acting) for each in self._actions]
        return PageContent(
            title=title,
            state=state,
            text="\n".join(
                [
                    *(f"{name}: {words}" for name, words in rows),
                    *table_text(shown.columns, shown.services),
                    *self._notes(),
                ]
            ),
            html=self._page(shown, rows),
            status=self._problem or (f"{self._acting} …" if self._acting else "Closed" if is_final else ""),
            buttons=() if is_final else tuple(buttons),
            is_final=is_final,
        )

    def is_ended(self) -> bool:
        return self._ask() is None

    def answer(self, ask: str) -> None:
        for action in self._actions:
            if action.ask == ask and not self._acting:
                self._acting, self._problem = action.text, ""
                threading.Thread(target=self._act, args=(action,), name="flame-jupyter-panel", daemon=True).start()

    def _act(self, action: Action) -> None:
        try:
            action.act()
        except Exception as error:
            logger.debug("panel action failed ask=%s", action.ask, exc_info=True)
            self._problem = f"{action.text} failed: {type(error).__name__}: {error}"
        finally:
            self._acting = ""

    def _notes(self) -> list[str]:
        return [self._problem] if self._problem else []

    def _page(self, facts: PanelFacts, rows: Sequence[tuple[str, str]]) -> str:
        lines = ([cell(escape(name), MUTED, scope="row"), cell(escape(words))] for name, words in rows)
        notes = "".join(f"<div>{escape(note)}</div>" for note in self._notes())
        fits = len(rows) + len(facts.services) + bool(notes) < OPEN_LINES
        return f'<div style="{FACE}">{table(lines, name="Facts")}{notes}{_services(facts, is_open=fits)}</div>'


def _services(facts: PanelFacts, *, is_open: bool) -> str:
    if not facts.services:
        return ""
    head = (cell(escape(each), "font-weight:600", scope="col" if each else "") for each in facts.columns)
    rows = (
        [cell(escape(name), MONO, scope="row"), *(cell(escape(each)) for each in others)]
        for name, *others in facts.services
    )
    title = counted(len(facts.services), "service")
    listed = scrolled(table(rows, head=head, name=title), name="Services", max_height=f"{MAX_BODY_PX}px")
    return listed if is_open else folded(title, listed, is_open=False)
