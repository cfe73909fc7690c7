# SPDX-License-Identifier: Apache-2.0
"""What the magics do: call the notebook, say in a line what happened, turn mistakes into one line with the cure.

One method of ``_Commands`` is one subcommand of ``%flame_runner``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.core.error import UsageError
from IPython.display import display

from flame_jupyter.calls import held
from flame_jupyter.calls.interrupts import stop_interrupted
from flame_jupyter.cells.execution import parsed_body, run_body
from flame_jupyter.export.directive import Directive
from flame_jupyter.export.module import DEFAULT_MODULE
from flame_jupyter.lines import ExportLine, RunnerLine, ServiceLine
from flame_jupyter.output import say
from flame_jupyter.service.runner_status import silence_text

if TYPE_CHECKING:
    from flame_jupyter.display.sources.inspector import Inspector
    from flame_jupyter.export.table import CellTable
    from flame_jupyter.notebook import Notebook
    from flame_jupyter.project.contexts import ContextTable
    from flame_jupyter.project.dry_run import DryRun
    from flame_jupyter.reports.doctor import Checkup
    from flame_jupyter.service.service_table import ServiceTable
    from flamepy import ObjectFuture, Runner
    from flamepy.runner import RunnerService

_Shown = TypeVar("_Shown")
MAX_LINES = 3  # that a command prints; what is longer is a display


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Show an error of flamepy without a traceback: its message says what to do. Not for errors of the user's calls."""
    from flamepy import FlameError, TaskFailed

    try:
        yield
    except TaskFailed:
        raise
    except FlameError as error:
        raise UsageError(str(error)) from error


@contextmanager
def told_packaging(notebook: Notebook) -> Iterator[None]:
    """Say in a line what an interrupt of packaging has left."""
    try:
        yield
    except KeyboardInterrupt:
        runner = notebook.runner
        left = "no Runner is open" if runner is None else f"the Runner {runner.name} is as it was"
        say(f"Interrupted: no package was made, and {left}.")
        raise


def run(notebook: Notebook, asked: RunnerLine, *, is_quiet: bool) -> Any:
    """Do what the line of ``%flame_runner`` says; the value is what the magic returns."""
    with one_line_errors():
        return getattr(_Commands(notebook, asked, is_quiet), asked.subcommand)()


def define(notebook: Notebook, asked: ServiceLine, cell: str, *, is_quiet: bool) -> None:
    """Run the cell and serve what it defines, on the notebook's Runner, started when there is none."""

    def runner() -> Runner:
        with one_line_errors(), told_packaging(notebook):
            runner, is_new = notebook.runner_on_demand(asked.runner, asked.context)
        if is_new and not is_quiet:
            say(notebook.status().start_text())
        elif (view := runner.cluster()) is not None and view.problem:
            say(silence_text(view))
        return runner

    if asked.export is not None or asked.no_run:
        notebook.capture.ask(Directive(asked.export or None, cell, 2))
    if asked.no_run:
        text = f"exported: workers import it from {asked.export or DEFAULT_MODULE}; nothing was run here."
    else:
        text = notebook.services.define(asked, cell, runner)
    if not is_quiet:
        say(text)


def export(notebook: Notebook, asked: ExportLine, cell: str, *, is_quiet: bool) -> None:
    """Run the cell, and export it when it has succeeded."""
    notebook.capture.ask(Directive(asked.module, cell, 2))
    run_body(notebook.shell, parsed_body(notebook.shell, cell))
    if not is_quiet:
        say(f"exported: workers import it from {asked.module or DEFAULT_MODULE}.")


@dataclass(frozen=True)
class _Commands:
    """One method a subcommand, of the same name."""

    notebook: Notebook
    asked: RunnerLine
    is_quiet: bool

    def start(self) -> Runner | None:
        """The Runner; None when nothing is to be shown (``--as`` still binds it)."""
        with told_packaging(self.notebook):
            runner = self.notebook.start(self.asked)
        self._say(self._ignored_text(runner))
        return self._shown(runner)

    def restart(self) -> Runner | None:
        with told_packaging(self.notebook):
            runner, text = self.notebook.restart(self.asked)
        lines = text.splitlines()
        if len(lines) > MAX_LINES:
            lines[MAX_LINES - 1 :] = [f"and {len(lines) - MAX_LINES + 1} more services, all redefined"]
        self._say("\n".join([*lines, self._ignored_text(runner)]).strip())
        return self._shown(runner)

    def stop(self) -> None:
        runner, running = self.notebook.runner, self.notebook.unfinished()
        try:
            name = self.notebook.stop(cancel=self.asked.cancel, wait_s=self.asked.wait_s)
        except KeyboardInterrupt:
            if runner is not None:
                say(stop_interrupted(runner, running))
            raise
        self._say("Flame: no Runner is open." if name is None else f"Flame: Runner {name} stopped.")

    def status(self) -> None:
        if self.asked.as_json:
            say(self.notebook.status().as_json())
        elif not self.is_quiet:
            display(self.notebook.runner or self.notebook.status())

    def services(self) -> ServiceTable:
        from flame_jupyter.service.service_table import ServiceTable

        if self.notebook.runner is None:
            return ServiceTable(tuple(self.notebook.services.views()))
        return self.notebook.status().services

    def package(self) -> DryRun | Path:
        """What it would hold with ``--dry-run``, else the archive that a Runner would ship, or ships."""
        with told_packaging(self.notebook):
            return self.notebook.dry_run(self.asked) if self.asked.dry_run else self.notebook.archive(self.asked)

    def cells(self) -> CellTable | None:
        exports, asked = self.notebook.exports, self.asked
        if asked.write is not None:
            self._say(exports.write(Path(asked.write), self.notebook.known_root()))
        elif asked.drop is not None or asked.clear:
            self._say(exports.clear() if asked.drop is None else exports.drop(asked.drop))
        else:
            return exports.table()
        return None

    def attach(self) -> RunnerService | None:
        return self._shown(self.notebook.attach(self.asked.operands[0], self.asked.bind_as))

    def wait(self) -> None:
        futures = self._meant()
        shows = not self.is_quiet and not all(each.done() for each in futures)
        held.wait_for(futures, self.asked.timeout_s, progress=shows)
        # in a notebook a view shows how it goes, and how it has ended
        is_told = shows and getattr(self.notebook.shell, "kernel", None) is not None
        self._say(held.kinds_text(futures) if is_told else held.ended_text(futures))

    def cancel(self) -> None:
        self._say(held.cancel_all(self._meant()))

    def logs(self) -> None:
        say(held.logs_text(self.notebook.shell.user_ns, self.asked.operands, self.notebook.settings.log_bytes))

    def inspect(self) -> Inspector:
        from flame_jupyter.display import inspect

        return inspect(held.the_one(self.notebook.shell.user_ns, self.asked.operands[0]))

    def use(self) -> None:
        with told_packaging(self.notebook):
            self._say(self.notebook.use(self.asked.operands[0], stops_first=self.asked.stops_first))

    def contexts(self) -> ContextTable:
        return self.notebook.contexts()

    def doctor(self) -> Checkup:
        from flame_jupyter.reports.doctor import checkup

        return checkup(self.notebook)

    def _ignored_text(self, runner: Runner) -> str:
        if self.asked.workers is None or runner.worker_limit is not None:
            return ""
        return "Flame: --workers counts on this machine only; a cluster decides by itself how many run calls."

    def _meant(self) -> list[ObjectFuture]:
        return held.meant(self.notebook.shell.user_ns, self.asked.operands, self.notebook.unfinished)

    def _say(self, text: str) -> None:
        if text and not self.is_quiet:
            say(text)

    def _shown(self, value: _Shown) -> _Shown | None:
        return None if self.is_quiet else value
