# SPDX-License-Identifier: Apache-2.0
"""The parsers of the magics, made from the declarations of their options (lines.py). IPython shows their help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from IPython.core.magic_arguments import MagicArgumentParser, argument

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.options import Kind, Option, options_of


@dataclass(frozen=True)
class MagicOptions:
    """help: what ``%name?`` shows. flags: all that there are. parser: of the options alone; it leaves other words over.

    argparse's own way to take options before words changes the parser while it runs: an interrupt in the middle would
    break the magic for the rest of the session.
    """

    help: str
    flags: tuple[str, ...]
    parser: MagicArgumentParser


def _described(magic: str, record: type[Any], word: Any) -> MagicOptions:
    """word: declares what stands there without a flag."""
    options = [each for name, one in options_of(record).items() for each in _declared(name, one)]
    whole = _parser_of(magic, record, [word, *options])
    flags = tuple(flag for each in options for flag in each.args)
    return MagicOptions(whole.format_help(), flags, _parser_of(magic, record, options))


def _parser_of(magic: str, record: type[Any], declared: list[Any]) -> MagicArgumentParser:
    parser = MagicArgumentParser(magic, description=record.__doc__)
    for each in declared:
        each.add_to_parser(parser, None)
    return parser


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
