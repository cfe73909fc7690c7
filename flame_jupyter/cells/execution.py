# SPDX-License-Identifier: Apache-2.0
"""Runs the body of a ``%%flame_service`` cell as IPython would have run the cell.

The line numbers are those of the cell, a failure goes through (so that nbconvert and papermill fail too), and
its traceback shows the cell alone. ``shell.run_cell`` would report success for a failing body.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError

from flame_jupyter.cells.definitions import awaits_at_top_level

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class CellSyntaxError(Exception):
    """The body is not Python. Not a SyntaxError itself: IPython would show the frames of its own machinery with it."""

    def __init__(self, error: SyntaxError, shell: InteractiveShell) -> None:
        super().__init__(str(error))
        self._error = error
        self._shell = shell

    def _render_traceback_(self) -> list[str]:
        lines: list[str] = self._shell.SyntaxTB.structured_traceback(type(self._error), self._error, None)
        return lines


@dataclass(frozen=True)
class CellBody:
    """A body that compiles. ``filename`` is how Python and IPython call the cell."""

    tree: ast.Module
    filename: str


def parsed_body(shell: InteractiveShell, body: str) -> CellBody:
    """Transform and parse the body. Raises CellSyntaxError, UsageError for a top-level await."""
    # IPython drops leading blank lines; line 1 is the magic's own
    leading = next((index for index, text in enumerate(body.split("\n")) if text.strip()), 0)
    first = body.lstrip().partition("\n")[0].strip()
    if first.startswith("%%"):
        raise UsageError(
            f"a cell can have one cell magic, and {first.split()[0]} is a second one: remove it. The view of each call "
            "shows how long it takes and what it prints."
        )
    source = "\n" * (1 + leading) + shell.transform_cell(body)
    filename = _cell_filename(shell, source)
    try:
        tree = ast.parse(source, filename)
    except SyntaxError as error:
        raise CellSyntaxError(error, shell) from error
    if awaits_at_top_level(tree):
        raise UsageError("await cannot run inside %%flame_service: put the await in another cell.")
    return CellBody(tree, filename)


def run_body(shell: InteractiveShell, body: CellBody) -> None:
    """Execute the body in the user's namespace. Whatever it raises goes through, and shows the cell alone."""
    code = compile(shell.transform_ast(body.tree), body.filename, "exec", shell.compile.flags, dont_inherit=True)
    try:
        exec(code, shell.user_global_ns, shell.user_ns)
    except BaseException as error:
        show_only_the_cell(shell, error)
        raise


def evaluated(shell: InteractiveShell, expression: str) -> Any:
    """The value of ``--instance``. Raises UsageError when it is no expression, and what the expression raises."""
    filename = "<the expression of --instance>"
    try:
        code = compile(expression, filename, "eval", shell.compile.flags, dont_inherit=True)
    except SyntaxError as error:
        raise UsageError(f"--instance {expression}: not a Python expression ({error.msg}).") from error
    linecache.cache[filename] = (len(expression), None, [expression], filename)
    try:
        return eval(code, shell.user_global_ns, shell.user_ns)  # noqa: S307 - the user's own expression
    except BaseException as error:
        show_only_the_cell(shell, error)
        raise


def show_only_the_cell(shell: InteractiveShell, error: BaseException) -> None:
    """Make IPython's rendering of ``error`` begin at the user's code.

    Trimming ``__traceback__`` is not enough: each frame that the error still passes through is added again.
    """
    if hasattr(error, "_render_traceback_") or isinstance(error, SyntaxError):
        return
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    error._render_traceback_ = _renderer(shell, error, trace)  # type: ignore[attr-defined]  # IPython looks for it


def _renderer(shell: InteractiveShell, error: BaseException, trace: TracebackType | None) -> Callable[[], list[str]]:
    def render() -> list[str]:
        lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, trace, tb_offset=0)
        return lines

    return render


def _cell_filename(shell: InteractiveShell, source: str) -> str:
    """Give the body a file name under which tracebacks find its lines, the running cell's own where there is one."""
    cell = _running_cell(shell)
    if cell is None:
        return str(shell.compile.cache(source, shell.execution_count))
    filename = cell.f_code.co_filename
    linecache.cache[filename] = (len(source), None, source.splitlines(keepends=True), filename)
    return filename


def _running_cell(shell: InteractiveShell) -> FrameType | None:
    """The frame of the cell whose first line is the magic; None when a program, or another magic, calls us."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals is not shell.user_global_ns:
        frame = frame.f_back
    if frame is None or frame.f_code.co_name != "<module>" or frame.f_lineno != 1:
        return None
    filename = frame.f_code.co_filename
    if shell.compile.format_code_name(filename) is None:
        return None
    return frame if linecache.getline(filename, 1).startswith("get_ipython().run_cell_magic(") else None
