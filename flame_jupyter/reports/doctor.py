# SPDX-License-Identifier: Apache-2.0
"""``%flame_runner doctor``: the report of ``flamepy`` with what only the notebook knows, as text and as HTML.

How the notebook and its root were found, whether live views work here, and where each setting came from.
"""

from __future__ import annotations

import html
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from flame_jupyter.project.contexts import where_text
from flame_jupyter.tables import table_html
from flamepy.front_ends import Finding, Level, Report, examine

if TYPE_CHECKING:
    from flame_jupyter.notebook import Notebook

GROUP = "Notebook"
_MARKS = {Level.WELL: "✓ ok", Level.NOTE: "! note", Level.WRONG: "✗ wrong"}


@dataclass(frozen=True)
class Checkup:
    """What the magic displays."""

    report: Report

    def __repr__(self) -> str:
        return self.report.text()

    def _repr_html_(self) -> str:
        rows = [
            (each.group, each.subject, _MARKS[each.level], f"{each.seen}. {each.cure}" if each.cure else each.seen)
            for each in self.report.findings
        ]
        table = table_html(("", "what", "", "found, and what to do"), rows)
        return f"{table}<p>{html.escape(self.report.summary())}</p>"


def checkup(notebook: Notebook) -> Checkup:
    """Look at everything. Makes a few calls on the engine of this process, which starts when there is none."""
    return Checkup(examine(tuple(_look_at_notebook(notebook)), notebook.context()))


def _look_at_notebook(notebook: Notebook) -> Iterator[Finding]:
    kernel = sys.modules.get("ipykernel")
    has_kernel = getattr(notebook.shell, "kernel", None) is not None
    yield Finding(GROUP, "kernel", f"ipykernel {kernel.__version__}" if kernel and has_kernel else "none: a terminal")
    yield _live_views(has_kernel)
    yield _notebook(notebook)
    yield _root(notebook)
    runner = notebook.runner
    yield Finding(
        GROUP, "Runner", "none is open" if runner is None else f"{runner.name}, application {runner.application}"
    )
    if (context := notebook.context()) is not None:
        named = f" (context {context.name})" if context.name else ""
        yield Finding(GROUP, "calls run on", where_text(context) + named)
    yield from _waiting(notebook)
    sources, settings = notebook.settings.sources, notebook.settings
    told = {name: sources.origin(name) for name in sorted(sources.names)}
    changed = {name: origin for name, origin in told.items() if origin != "default"}
    for name, origin in changed.items():
        yield Finding(GROUP, f"setting {name}", f"{getattr(settings, name)!r} (from {origin})")
    if not changed:
        yield Finding(GROUP, "settings", "all are the defaults (%config FlameMagics shows them)")


def _waiting(notebook: Notebook) -> Iterator[Finding]:
    """What the calls of the notebook wait for on their cluster."""
    view = None if notebook.runner is None else notebook.runner.cluster()
    if view is not None and view.waiting:
        yield Finding(GROUP, "calls", f"they wait: {view.waiting}", Level.NOTE)


def _live_views(has_kernel: bool) -> Finding:
    from flame_jupyter.display.views.mode import has_widgets

    if not has_kernel:
        return Finding(GROUP, "live views", "none: a terminal shows text")
    if has_widgets():
        return Finding(GROUP, "live views", "ipywidgets and anywidget are there")
    cure = "pip install ipywidgets anywidget, and reload the page."
    return Finding(GROUP, "live views", "ipywidgets or anywidget is missing: futures are static", Level.NOTE, cure)


def _notebook(notebook: Notebook) -> Finding:
    try:
        place = notebook.place()
    except UsageError as error:
        return Finding.of_error(GROUP, "notebook", error)
    unknown = "not known: this front end does not tell it"
    return Finding(GROUP, "notebook", unknown if place is None else f"{place.path} (from {place.source})")


def _root(notebook: Notebook) -> Finding:
    try:
        root = notebook.root(None)
    except UsageError as error:
        return Finding.of_error(GROUP, "root", error)
    seen = f"{root.path} (from the {root.source})"
    if not os.access(root.path, os.R_OK | os.X_OK):
        cure = "Make it readable, or name another: %flame_runner start --root DIR."
        return Finding(GROUP, "root", f"{seen} cannot be read", Level.WRONG, cure)
    return Finding(GROUP, "root", seen)
