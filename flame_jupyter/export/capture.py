# SPDX-License-Identifier: Apache-2.0
"""Takes exported cells from the running kernel: keeps what has run, and says of the others why they are left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from flame_jupyter.export.cells import ExportedCell, exported_cell
from flame_jupyter.export.directive import Directive, directive_of
from flame_jupyter.export.exports import Exports
from flame_jupyter.export.module import DEFAULT_MODULE, check_module_name
from flame_jupyter.output import say

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionResult, InteractiveShell


class Capture:
    """root: gives the directory that is packaged, None while that is not known."""

    def __init__(self, exports: Exports, root: Callable[[], Path | None]) -> None:
        self._exports = exports
        self._root = root
        self._asked: list[ExportedCell] = []

    def install(self, shell: InteractiveShell) -> Callable[[], None]:
        """Follow the cells of ``shell``; returns what stops it."""
        shell.events.register("post_run_cell", self.end_cell)

        def stop() -> None:
            shell.events.unregister("post_run_cell", self.end_cell)

        return stop

    def checked(self, found: Directive) -> ExportedCell | None:
        """The cell of a module, None when it is no Python. Raises UsageError when it cannot be in its module."""
        check_module_name(found.module or DEFAULT_MODULE, self._root())
        try:
            return exported_cell(found.source, found.module, first_line=found.first_line)
        except SyntaxError:  # its cell fails with that
            return None

    def ask(self, found: Directive) -> None:
        """Export what a magic of the running cell has found in it, when that cell has run. Raises UsageError."""
        if (cell := self.checked(found)) is not None:
            self._asked.append(cell)

    def end_cell(self, result: ExecutionResult) -> None:
        """After a cell: keep what it exports if it succeeded; take out what it does not export any more."""
        asked, self._asked = self._asked, []
        info: Any = result.info
        if not result.success or info is None:
            return
        found = directive_of(info.raw_cell) if isinstance(info.raw_cell, str) else None
        try:
            if found is not None and not asked and (cell := self.checked(found)) is not None:
                asked = [cell]
        except UsageError as error:
            say(f"Note: this cell is not exported: {error}")
        cell_id: str | None = getattr(info, "cell_id", None)
        label = f"In[{result.execution_count}]" if result.execution_count else ""
        for each in asked:
            self._exports.put(replace(each, cell_id=cell_id, label=label))
        if cell_id is not None and not asked:
            self._exports.forget(cell_id)
