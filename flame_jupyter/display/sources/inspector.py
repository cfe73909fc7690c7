# SPDX-License-Identifier: Apache-2.0
"""The result inspector: one future from all sides, with pages of a table that a worker cuts. A widget until closed.

Its tabs change on the page alone, its buttons are answered here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from typing import Any, Protocol

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import clock_text, counted, printed_text, size_text, tail
from flame_jupyter.display.model.snapshot import FutureLike, Preview, Snapshot, take
from flame_jupyter.display.previews.inspector_payload import PAGE_ROWS, InspectorPayload, payload_of
from flame_jupyter.display.previews.preview import Limits
from flame_jupyter.display.previews.reference import start_reference
from flame_jupyter.display.render import html, text
from flame_jupyter.display.views.content import Button
from flame_jupyter.display.views.mode import Settings
from flame_jupyter.display.views.page_content import PageContent, Tab
from flame_jupyter.display.views.source import Source, Viewer

OUTPUT_CHARS = 64_000
FETCH_BUDGET_S = 30.0  # in a program, which sees only what is there when the cell ends


class Notebook(Protocol):
    """Where it is shown (display_manager.py)."""

    @property
    def is_watched(self) -> bool: ...

    @property
    def settings(self) -> Settings: ...

    def show_source(self, source: Source) -> None: ...


class Inspector(Source):
    """``value`` is what "Load full value" has read. Shown where it is the last line of a cell; ``close`` ends it."""

    refresh_s = 1.0

    def __init__(self, future: FutureLike, notebook: Notebook, limits: Limits) -> None:
        self.future = future
        self.value: Any = None
        self._notebook = notebook
        self._limits = limits
        self._viewers: list[Viewer] = []
        self._is_closed = False
        self._look: InspectorPayload | None = None
        self._note = ""
        self._is_reading = False
        self._has_value = False
        self._reference = ""
        self._reader: threading.Thread | None = None

    def close(self) -> None:
        """Become static, with the page that is shown now."""
        self._is_closed = True
        for viewer in self._viewers:
            viewer.close()

    def attach(self, viewer: Viewer) -> None:
        self._viewers.append(viewer)
        self.future.add_done_callback(lambda _future: viewer.wake())

    def _ipython_display_(self) -> None:
        self._is_closed = False
        if not self._notebook.is_watched:
            self._read_now()
        self._notebook.show_source(self)

    def __repr__(self) -> str:
        return f"<Inspector of {self.future.call_text} #{self.future.id}>"

    # -- what the output asks, on the UI thread

    def content(self, *, now_s: float) -> PageContent:
        if self._look is None and not self._note and not self._is_reading and self._notebook.is_watched:
            self._read(0)
        snapshot = take(self.future, now_s=now_s, preview=self._shown_preview(), reference=self._reference)
        pending = f"{snapshot.word.lower()}, pending at {clock_text(now_s)}"
        return PageContent(
            title=f"Inspector of {snapshot.call} #{snapshot.id}",
            state="" if snapshot.state.is_terminal else pending,
            text=text.plain(snapshot),
            html=html.edged(snapshot),
            status=f"{snapshot.word}{': reading the result' if self._is_reading else ''}",
            tabs=tuple(self._tabs(snapshot)),
            buttons=tuple(self._buttons(snapshot)),
            is_final=self._is_closed,
        )

    def is_ended(self) -> bool:
        return self._is_closed

    def answer(self, ask: str) -> None:
        first = self._look.grid.first if self._look is not None and self._look.grid is not None else 0
        if ask == "next":
            self._read(first + PAGE_ROWS)
        elif ask == "previous":
            self._read(max(first - PAGE_ROWS, 0))
        elif ask == "preview":
            self._read(0, is_asked=True)
        elif ask == "reference" and CallState.named(self.future.state) is CallState.SUCCEEDED:
            start_reference(self.future, self._take_reference)
        elif ask == "load":
            self._load()
        elif ask == "cancel":
            self.future.cancel()
        elif ask == "close":
            self.close()

    # -- reading

    def _take_reference(self, text: str, problem: str) -> None:
        self._reference, self._note = text, problem or self._note
        self._wake()

    def _read(self, first: int, *, is_asked: bool = False) -> None:
        """Have a worker look at the value; after the Runner has closed, this process looks itself."""
        if self._is_reading or CallState.named(self.future.state) is not CallState.SUCCEEDED:
            return
        nbytes = self.future.nbytes
        if nbytes is not None and nbytes > self._limits.worker_bytes and not is_asked and self._look is None:
            self._note = f"The result is {size_text(nbytes)}: press Load preview to have a worker read it."
            return
        self._is_reading = True
        self._in_a_thread(self._ask, first)

    def _ask(self, first: int) -> None:
        from flamepy import RunnerClosed

        try:
            self._look = self.future.ask(payload_of, self._limits, first, PAGE_ROWS).get()
            self._note = ""
        except RunnerClosed as error:
            nbytes = self.future.nbytes
            if nbytes is not None and nbytes <= self._limits.fetch_bytes:
                self._look = payload_of(self.future.get(timeout=0), self._limits, first, PAGE_ROWS)
            else:
                self._note = str(error)

    def _wake(self) -> None:
        for viewer in self._viewers:
            viewer.wake()

    def _load(self) -> None:
        if not self._is_reading and CallState.named(self.future.state) is CallState.SUCCEEDED:
            self._is_reading = True
            self._in_a_thread(self._load_value)

    def _load_value(self) -> None:
        self.value = self.future.get(timeout=0)
        self._has_value = True

    def _in_a_thread(self, read: Callable[..., object], *arguments: object) -> None:
        """Reading runs the user's code, and may take long: never on the UI thread."""

        def run() -> None:
            try:
                read(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever the value does is told, not raised
                self._note = f"Reading the result raised {type(error).__name__}: {error}"
            finally:
                self._is_reading = False
                self._wake()

        self._reader = threading.Thread(target=run, name="flame-jupyter-inspect", daemon=True)
        self._reader.start()

    def _read_now(self) -> None:
        """For a program: no reader comes later."""
        if not self.future.wait(self._notebook.settings.settle_timeout_s):
            return
        self._read(0)
        if self._reader is not None:
            self._reader.join(FETCH_BUDGET_S)

    # -- what is seen

    def _shown_preview(self) -> Preview | None:
        if self._look is not None:
            return self._look.preview
        return Preview("", note=self._note) if self._note else None

    def _tabs(self, snapshot: Snapshot) -> list[Tab]:
        tabs = [Tab("value", "Value", self._value_page(snapshot))]
        if self._look is not None:
            tabs.append(Tab("text", "Text", html.pre(self._look.text, name="Text of the result")))
        problem = snapshot.problem
        if problem is not None and problem.traceback_text:
            shown = html.pre(problem.traceback_text.strip("\n"), name="Traceback")
            tabs.insert(0, Tab("traceback", "Traceback", f"{html.state_line(snapshot)}{shown}"))
        output = printed_text(snapshot.output)
        lines = counted(output.count("\n") + 1, "line") if output else "nothing"
        printed = html.pre(tail(output, max_chars=OUTPUT_CHARS), name="Output") if output else "It printed nothing."
        tabs.append(Tab("output", f"Output, {lines}" if output else "Output", printed))
        tabs.append(Tab("details", "Details", html.details_table(snapshot)))
        return tabs

    def _value_page(self, snapshot: Snapshot) -> str:
        line = html.state_line(snapshot)
        note = f"<div>{escape(self._note)}</div>" if self._note else ""
        if self._has_value:
            note += "<div>The full value is loaded: it is the attribute <code>value</code> of this inspector.</div>"
        if self._look is None:
            return line + note
        grid = self._look.grid
        if grid is not None and grid.total:
            last = grid.first + len(grid.rows)
            more = f", {grid.hidden_columns} more columns are not shown" if grid.hidden_columns else ""
            where = f"<div>Rows {grid.first + 1:,} to {last:,} of {grid.total:,}{more}.</div>"
            return line + where + html.scrolled(grid.html("Rows of the result"), name="Rows of the result") + note
        return line + html.preview(snapshot) + note

    def _buttons(self, snapshot: Snapshot) -> list[Button]:
        buttons = []
        grid = None if self._look is None else self._look.grid
        is_free = not self._is_reading
        if grid is not None and grid.total > PAGE_ROWS:
            last = grid.first + len(grid.rows)
            buttons += [
                Button("previous", "Previous rows", "", is_free and grid.first > 0),
                Button("next", "Next rows", "", is_free and last < grid.total),
            ]
        if snapshot.state is CallState.SUCCEEDED:
            if self._look is None and self._note:
                buttons.append(Button("preview", "Load preview", "A worker reads the result for it.", is_free))
            size = "" if snapshot.nbytes is None else f", {size_text(snapshot.nbytes)}"
            title = "Read the result into this kernel, as the attribute value of this inspector."
            buttons.append(Button("load", f"Load full value{size}", title, is_free and not self._has_value))
            title = "Copy a line of code that fetches the result; it then stays until the Runner closes."
            buttons.append(Button("reference", "Copy reference", title, copies=self._reference))
        elif not snapshot.state.is_terminal:
            buttons.append(Button("cancel", "Cancel", "Stop this call."))
        buttons.append(Button("close", "Close", "Leave what is shown now as a static output."))
        return buttons
