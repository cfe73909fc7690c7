# SPDX-License-Identifier: Apache-2.0
"""What the status panel shows of this notebook's Runner, and what its buttons do.

``display.panel`` draws it; here the notebook is asked, once a second, on the thread of the display.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from flame_jupyter.display.sources.panel import Action, Panel, PanelFacts
from flame_jupyter.lines import RunnerLine
from flame_jupyter.service.runner_status import Status
from flame_jupyter.service.service_table import SERVICE_COLUMNS
from flame_jupyter.wording import size_text
from flamepy import FlameError
from flamepy.front_ends import monotonic_s

if TYPE_CHECKING:
    from flame_jupyter.notebook import Notebook

DRIFT_EVERY_S = 5.0  # looks at every file of the project
_COUNTS = ("queued", "running", "done", "failed", "cancelled")


def panel_of(notebook: Notebook) -> Panel:
    """A panel that follows the notebook's Runner until none is open."""
    return Panel(
        _Asker(notebook),
        (
            Action("stop", "Stop", "Close the services and the Runner when their calls have ended.", notebook.stop),
            Action(
                "repackage",
                "Re-package",
                "Package the directory again, and serve everything anew.",
                lambda: notebook.restart(RunnerLine("restart")),
            ),
        ),
    )


class _Asker:
    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._changed: list[str] = []
        self._stale_due_s = 0.0
        self._sha = ""

    def __call__(self) -> PanelFacts | None:
        try:
            status = self._notebook.status()
            self._look_for_stale_files(status.sha)
        except FlameError:  # it closes just now
            return None
        if status.name is None:
            return None
        exported = len(self._notebook.exports)
        rows = [*_engine(status), ("Package", self._package(status)), ("Calls", _calls(status))]
        if status.cluster is not None and status.cluster.view.waiting:
            rows.append(("Waiting", status.cluster.view.waiting))
        if exported:
            rows.append(("Exported cells", str(exported)))
        services = tuple(each.cells() for each in status.services.services)
        return PanelFacts(status.name, tuple(rows), SERVICE_COLUMNS, services)

    def _look_for_stale_files(self, sha: str) -> None:
        """Now and then; at once when the package is another one: what was said of the old one is not true of it."""
        runner, now_s = self._notebook.runner, monotonic_s()
        if runner is not None and (now_s >= self._stale_due_s or sha != self._sha):
            self._changed, self._sha = runner.stale_files(), sha
            self._stale_due_s = now_s + DRIFT_EVERY_S

    def _package(self, status: Status) -> str:
        if not status.sha:
            return "that of the application, which was there before"
        files = f"{status.files} file{'' if status.files == 1 else 's'}"
        text = f"{files}, {size_text(status.nbytes)} from {status.root}/ (sha {status.sha})"
        if not self._changed:
            return text
        return f"{text}; changed since: {self._changed[0]}" + (
            f" and {len(self._changed) - 1} more" if len(self._changed) > 1 else ""
        )


def _engine(status: Status) -> list[tuple[str, str]]:
    if status.cluster is not None:
        executors = status.cluster.executors_text()
        return [("Engine", status.cluster.text()), *([("Executors", executors)] if executors else [])]
    inside = "embedded, inside a worker"
    return [("Engine", inside if status.workers is None else f"embedded, {status.workers.text()}")]


def _calls(status: Status) -> str:
    counts = [each.counts for each in status.services.services if each.counts is not None]
    totals = [sum(column) for column in zip(*counts, strict=True)]
    shown = [f"{number} {word}" for number, word in zip(totals, _COUNTS, strict=bool(totals)) if number]
    return ", ".join(shown) or "none so far"
