# SPDX-License-Identifier: Apache-2.0
"""``%flame_runner``, ``%%flame_service`` and ``%%flame_export``: from the arguments to the call. No logic of theirs."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class, no_var_expand
from IPython.utils.text import DollarFormatter

from flame_jupyter.magics import commands, options, parse
from flame_jupyter.magics.options import MagicOptions
from flame_jupyter.notebook import Notebook
from flame_jupyter.settings.traits import FlameTraits
from flame_jupyter.tracebacks.collect import short_interrupts

_Method = TypeVar("_Method", bound=Callable[..., Any])


def _described_by(options: MagicOptions) -> Callable[[_Method], _Method]:
    """Give a magic the help text of its options, for ``%name?``."""

    def describe(method: _Method) -> _Method:
        method.__doc__ = options.help
        return method

    return describe


@magics_class
class FlameMagics(FlameTraits, Magics):
    """Run functions and classes of this notebook on worker processes."""

    shell: InteractiveShell

    def __init__(self, shell: InteractiveShell, notebook: Notebook | None = None) -> None:
        super().__init__(shell=shell)
        self.notebook = notebook or Notebook(shell, self)
        self.notebook.settings = self

    @no_var_expand  # parse.expanded does it: braces of expressions and globs are not for us
    @line_magic
    @_described_by(options.runner_options)
    def flame_runner(self, line: str) -> Any:
        with self._short_interrupts():
            asked = parse.parse_runner(parse.expanded(line, self._expander()))
            return commands.run(self.notebook, asked, is_quiet=asked.quiet or self.quiet)

    @no_var_expand
    @cell_magic
    @_described_by(options.service_options)
    def flame_service(self, line: str, cell: str) -> None:
        __tracebackhide__ = True
        with self._short_interrupts():
            asked = parse.parse_service(parse.expanded(line, self._expander()))
            commands.define(self.notebook, asked, cell, is_quiet=asked.quiet or self.quiet)

    @no_var_expand
    @cell_magic
    @_described_by(options.export_options)
    def flame_export(self, line: str, cell: str) -> None:
        __tracebackhide__ = True
        with self._short_interrupts():
            asked = parse.parse_export(parse.expanded(line, self._expander()))
            commands.export(self.notebook, asked, cell, is_quiet=asked.quiet or self.quiet)

    @line_magic("%flame_export")  # type: ignore[arg-type]  # as below
    @_described_by(options.export_options)
    def flame_export_line(self, line: str) -> None:
        raise UsageError("%%flame_export must be the first line of its cell.")

    # what IPython looks for when %%flame_service stands in a later line; its marker is typed for functions, not names
    @line_magic("%flame_service")  # type: ignore[arg-type]
    @_described_by(options.service_options)
    def flame_service_line(self, line: str) -> None:
        raise UsageError("%%flame_service must be the first line of its cell.")

    def _short_interrupts(self) -> contextlib.AbstractContextManager[None]:
        return short_interrupts(self.shell, lambda: self.full_tracebacks)

    def _expander(self) -> Callable[[str], str]:
        """Expands ``{name}`` and ``$name`` as IPython does, with the variables that the user's line can see."""
        variables = dict(self.shell.user_ns)
        # frames: here, the magic, IPython's run_*_magic, the user's; a program may call the magic directly
        with contextlib.suppress(ValueError):
            variables.update(sys._getframe(3).f_locals)

        def expand(text: str) -> str:
            try:
                return DollarFormatter().vformat(text, [], variables)
            except Exception:  # noqa: BLE001 - any expression may stand there; what is left unexpanded is reported
                return text

        return expand
