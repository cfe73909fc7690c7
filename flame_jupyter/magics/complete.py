# SPDX-License-Identifier: Apache-2.0
"""What Tab offers in the lines of the magics: subcommands, options, and names that exist now.

``spot_at`` finds out where the cursor stands, ``offered`` decides by the declarations in lines.py; both are pure.
``matcher_for`` makes what IPython's completer calls. It starts nothing and loads nothing: what is not there yet is
not offered.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.options import Kind, Option, flags_of

if TYPE_CHECKING:
    from flame_jupyter.notebook import Notebook

_LINE = re.compile(r"\s*(?:[\w.,\s]+=\s*)?%?(flame_runner)\s+(.*)\Z")
_CELL = re.compile(r"%%(flame_service|flame_export)\s+(.*)\Z")
_DEFINED = re.compile(r"(?m)^(?:async\s+def|def|class)\s+(\w+)")
_RECORDS: dict[str, type[Any]] = {
    "flame_runner": RunnerLine,
    "flame_service": ServiceLine,
    "flame_export": ExportLine,
}
_WITHOUT_VALUE = (Kind.FLAG, Kind.EITHER)
_FIRST = 200.0  # before IPython's own matchers, which then need not look


@dataclass(frozen=True)
class Spot:
    """The cursor in the line of a magic. words: those before; fragment: the one that it ends; body: the lines below."""

    magic: str
    words: tuple[str, ...]
    fragment: str
    body: str = ""


def spot_at(text: str, line_number: int, column: int) -> Spot | None:
    """Where the cursor is; None when not in the line of one of our magics. line_number: from 0."""
    lines = text.split("\n")
    before = lines[line_number][:column]
    match = _CELL.match(before) or _LINE.match(before)
    if match is None:
        return None
    magic, rest = match.groups()
    *words, fragment = rest.split(" ")
    return Spot(magic, tuple(word for word in words if word), fragment, "\n".join(lines[line_number + 1 :]))


def offered(spot: Spot, names: Mapping[str, Callable[[], Iterable[str]]]) -> list[str]:
    """The words that may stand there and begin with the fragment. names: what exists now, by kind."""
    options = flags_of(_RECORDS[spot.magic])
    previous = options.get(spot.words[-1]) if spot.words else None
    if previous is not None and previous.kind not in _WITHOUT_VALUE:
        possible: Iterable[str] = names[previous.names]() if previous.names else ()
    elif spot.fragment.startswith("-") or not (possible := list(_operands(spot, options, names))):
        possible = _flags(spot, options)
    used = {word for word in spot.words if word not in options or options[word].kind is not Kind.REPEATED}
    return [word for word in dict.fromkeys(possible) if word.startswith(spot.fragment) and word not in used]


def matcher_for(notebook: Notebook) -> Callable[[CompletionContext], dict[str, Any]]:
    """What goes into ``Completer.custom_matchers``."""
    names = _names(notebook)

    @context_matcher(identifier="flame_jupyter", priority=_FIRST)
    def flame_matcher(context: CompletionContext) -> dict[str, Any]:
        spot = spot_at(context.full_text, context.cursor_line, context.cursor_position)
        if spot is None:
            return {"completions": []}
        found = [SimpleCompletion(text=word, type="magic") for word in offered(spot, names)]
        return {"completions": found, "suppress": bool(found), "matched_fragment": spot.fragment}

    return cast(Callable[[CompletionContext], dict[str, Any]], flame_matcher)


def _plain_words(spot: Spot, options: Mapping[str, Option]) -> list[str]:
    """The words that are neither options nor values of options."""
    plain = []
    takes_value = False
    for word in spot.words:
        if word.startswith("--"):
            takes_value = "=" not in word and word in options and options[word].kind not in _WITHOUT_VALUE
        elif not takes_value:
            plain.append(word)
        else:
            takes_value = False
    return plain


def _operands(
    spot: Spot, options: Mapping[str, Option], names: Mapping[str, Callable[[], Iterable[str]]]
) -> Iterable[str]:
    plain = _plain_words(spot, options)
    if spot.magic == "flame_service":
        return () if plain else _DEFINED.findall(spot.body)
    if spot.magic == "flame_export":
        return ()
    if not plain:
        return SUBCOMMANDS
    subcommand = SUBCOMMANDS.get(plain[0])
    if subcommand is None or not subcommand.takes:
        return ()
    is_full = subcommand.max_operands is not None and len(plain) > subcommand.max_operands
    return () if is_full else names[subcommand.takes]()


def _flags(spot: Spot, options: Mapping[str, Option]) -> Iterable[str]:
    if spot.magic != "flame_runner":
        return options
    plain = _plain_words(spot, options)
    command = plain[0] if plain and plain[0] in SUBCOMMANDS else "start"
    return (flag for flag, each in options.items() if each.belongs_to(command))


def _names(notebook: Notebook) -> dict[str, Callable[[], Iterable[str]]]:
    from flame_jupyter.calls import held
    from flame_jupyter.project.named_runners import open_runners

    def whenever_used(look: Callable[[], Iterable[str]]) -> Callable[[], Iterable[str]]:
        """Before the first Runner there are no such things, and asking would load all of flamepy."""
        return lambda: look() if "flamepy.runner.runner" in sys.modules else ()

    variables = notebook.shell.user_ns
    return {
        "contexts": _context_names,
        "services": whenever_used(_service_names),
        "runners": whenever_used(lambda: open_runners(notebook.runner, variables)),
        "futures": whenever_used(lambda: held.holders_of_futures(variables)),
        "outputs": whenever_used(lambda: held.holders_of_output(variables)),
        "exported": notebook.exports.names,
    }


def _context_names() -> list[str]:
    from flamepy import FlameContext, InvalidConfig

    try:
        return [each.name for each in FlameContext.all() if each.name is not None]
    except InvalidConfig:  # the command itself says what is wrong
        return []


def _service_names() -> list[str]:
    from flamepy.runner import open_services

    return [each.name for each in open_services()]
