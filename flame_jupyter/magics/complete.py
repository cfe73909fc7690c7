# SPDX-License-Identifier: Apache-2.0
"""What Tab offers in the lines of the magics: subcommands, options, and names that exist now.

``spot_at`` finds out where the cursor stands, ``offered`` decides by ``grammar``; both are pure. ``matcher_for`` makes
what IPython's completer calls. It starts nothing and loads nothing: what is not there yet is not offered.
"""

from __future__ import annotations

import re
import sys
from argparse import Action
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher
from IPython.core.magic_arguments import MagicArgumentParser

from flame_jupyter.magics.options import EVERYWHERE, SUBCOMMANDS, export_options, runner_options, service_options

if TYPE_CHECKING:
    from flame_jupyter.notebook import Notebook

_LINE = re.compile(r"\s*(?:[\w.,\s]+=\s*)?%?(flame_runner)\s+(.*)\Z")
_CELL = re.compile(r"%%(flame_service|flame_export)\s+(.*)\Z")
_DEFINED = re.compile(r"(?m)^(?:async\s+def|def|class)\s+(\w+)")
_OPTIONS = {"flame_runner": runner_options, "flame_service": service_options, "flame_export": export_options}
_VALUES = {"--cluster": "contexts", "--runner": "runners", "--drop": "exported"}  # of the others, nobody knows any
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
    actions = _actions(spot.magic)
    previous = actions.get(spot.words[-1]) if spot.words else None
    if previous is not None and previous.nargs != 0:
        possible: Iterable[str] = names[_VALUES[spot.words[-1]]]() if spot.words[-1] in _VALUES else ()
    elif spot.fragment.startswith("-") or not (possible := list(_operands(spot, actions, names))):
        possible = _options(spot, actions)
    used = {word for word in spot.words if word not in actions or not _is_repeatable(actions[word])}
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


def _is_repeatable(action: Action) -> bool:
    return type(action).__name__ == "_AppendAction"


def _actions(magic: str) -> dict[str, Action]:
    parser: MagicArgumentParser = cast(Any, _OPTIONS[magic]).parser
    return {flag: action for action in parser._actions for flag in action.option_strings if flag.startswith("--")}


def _plain_words(spot: Spot, actions: Mapping[str, Action]) -> list[str]:
    """The words that are neither options nor values of options."""
    plain = []
    takes_value = False
    for word in spot.words:
        if word.startswith("--"):
            takes_value = "=" not in word and word in actions and actions[word].nargs != 0
        elif not takes_value:
            plain.append(word)
        else:
            takes_value = False
    return plain


def _operands(
    spot: Spot, actions: Mapping[str, Action], names: Mapping[str, Callable[[], Iterable[str]]]
) -> Iterable[str]:
    plain = _plain_words(spot, actions)
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


def _options(spot: Spot, actions: Mapping[str, Action]) -> Iterable[str]:
    if spot.magic != "flame_runner":
        return actions
    plain = _plain_words(spot, actions)
    subcommand = SUBCOMMANDS.get(plain[0] if plain else "start", SUBCOMMANDS["start"])
    return (*subcommand.options, *EVERYWHERE)


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
