# SPDX-License-Identifier: Apache-2.0
"""Runs cells in an IPython shell of this process, and says what they printed and raised."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class CellResult:
    """printed: standard output and standard error together, without colours; error: what ended the cell."""

    printed: str
    value: Any
    error: BaseException | None


class Shell:
    def __init__(self, shell: InteractiveShell) -> None:
        self.ip = shell

    def run(self, cell: str) -> CellResult:
        """Run a cell that succeeds."""
        result = self.run_any(cell)
        assert result.error is None, result.printed
        return result

    def run_any(self, cell: str) -> CellResult:
        with capture_output(display=False) as captured:
            result = self.ip.run_cell(cell, store_history=True)
        return CellResult(
            _ANSI.sub("", captured.stdout + captured.stderr),
            result.result,
            result.error_before_exec or result.error_in_exec,
        )

    def mistake(self, cell: str) -> str:
        """Run a cell that is a user's mistake: the one line that is printed for it."""
        result = self.run_any(cell)
        assert type(result.error).__name__ == "UsageError", result.printed
        return result.printed.strip()

    def __getitem__(self, variable: str) -> Any:
        return self.ip.user_ns[variable]
