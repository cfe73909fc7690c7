# SPDX-License-Identifier: Apache-2.0
"""An option of a magic, declared once: as a field of the record that its line becomes (lines.py). Pure.

What the magic's parser, its help, Tab, ``%flame_runner restart`` and the refusal of an option in the wrong place need
to know of an option stands in its declaration.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any

_KEY = "option"


class Kind(Enum):
    """What stands behind the flag, and what the record holds then."""

    TEXT = "a word -> str"
    VARIABLE = "a name that a variable can have -> str"
    COUNT = "a whole number -> int"
    SECONDS = "a number of seconds -> float"
    REPEATED = "a word, and the flag may stand again -> tuple of str"
    FLAG = "nothing -> True"
    EITHER = "nothing -> True, and False for the opposite flag"
    EXPRESSION = "code up to the next option, or nothing -> str, as it is written"
    OPTIONAL = "a word or nothing -> str"


@dataclass(frozen=True)
class Option:
    """flag: with its dashes. help: for people, one line. metavar: how help calls the value; "" = there is none.

    commands: the subcommands of ``%flame_runner`` that read it; () = all. names: what Tab offers for the value.
    is_verbatim: braces and dollars in the value are its own. is_kept: a restart that leaves it out takes it from the
    start before. is_fixed: an open Runner cannot change it. at_least: of a COUNT. opposite: of an EITHER, its other
    flag and the help of that.
    """

    flag: str
    help: str
    metavar: str = ""
    kind: Kind = Kind.TEXT
    commands: tuple[str, ...] = ()
    names: str = ""
    is_verbatim: bool = False
    is_kept: bool = False
    is_fixed: bool = False
    at_least: int = 0
    opposite: tuple[str, str] = ("", "")

    def belongs_to(self, command: str) -> bool:
        return not self.commands or command in self.commands


def option(flag: str, help: str, metavar: str = "", *, default: Any = None, **more: Any) -> Any:  # noqa: A002 - argparse's word
    """A field of a record. default: what the record holds when the option is left out. more: as in ``Option``."""
    return field(default=default, metadata={_KEY: Option(flag, help, metavar, **more)})


def options_of(record: type[Any]) -> dict[str, Option]:
    """The options of a record by the names of their fields."""
    return {each.name: each.metadata[_KEY] for each in fields(record) if _KEY in each.metadata}


def flags_of(record: type[Any]) -> dict[str, Option]:
    """The options of a record by their flags; an EITHER stands there twice."""
    found = {}
    for each in options_of(record).values():
        found[each.flag] = each
        if each.opposite[0]:
            found[each.opposite[0]] = each
    return found
