# SPDX-License-Identifier: Apache-2.0
"""The parsers of the magics, made from the declarations of their options (lines.py). IPython shows their help."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from IPython.core.magic_arguments import argument, magic_arguments

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.options import Kind, Option, options_of

Options = Callable[[str], None]


def _described(magic: str, record: type[Any], word: Any) -> Options:
    """The function that carries the options of a magic. word: declares what stands there without a flag."""

    def options(line: str) -> None:
        """Replaced by the words of the record."""

    options.__doc__ = record.__doc__
    for declare in reversed(
        [word, *(each for name, one in options_of(record).items() for each in _declared(name, one))]
    ):
        options = declare(options)
    described: Options = magic_arguments(magic)(options)
    return described


def _declared(name: str, each: Option) -> list[Any]:
    """What argparse is told of an option. Values stay text: parse.py says what is wrong with them."""
    if each.kind is Kind.EITHER:
        opposite, its_help = each.opposite
        return [
            argument(each.flag, dest=name, action="store_const", const=True, help=each.help),
            argument(opposite, dest=f"not_{name}", action="store_true", help=its_help),
        ]
    how: dict[Kind, dict[str, Any]] = {
        Kind.FLAG: {"action": "store_true"},
        Kind.REPEATED: {"action": "append", "metavar": each.metavar},
        Kind.EXPRESSION: {"nargs": "*", "metavar": each.metavar},
        Kind.OPTIONAL: {"nargs": "?", "const": "", "metavar": each.metavar},
    }
    return [argument(each.flag, dest=name, help=each.help, **how.get(each.kind, {"metavar": each.metavar}))]


runner_options = _described(
    "flame_runner",
    RunnerLine,
    argument(
        "words",
        nargs="*",
        metavar="SUBCOMMAND",
        help=f"one of {', '.join(SUBCOMMANDS)}; nothing = start; any other word = start --name WORD",
    ),
)
service_options = _described(
    "flame_service",
    ServiceLine,
    argument("target", nargs="?", metavar="TARGET", help="the function, class or variable that the cell defines"),
)
export_options = _described(
    "flame_export",
    ExportLine,
    argument("module", nargs="?", metavar="MODULE", help="module that workers import (default: notebook_cells)"),
)
