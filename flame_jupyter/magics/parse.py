# SPDX-License-Identifier: Apache-2.0
"""From the line of a magic to a record of what it asks for, by the words of ``grammar``. Pure: no shell, no Runner."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any, cast

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from flame_jupyter.lines import ExportLine, RunnerLine, ServiceLine
from flame_jupyter.magics.options import EVERYWHERE, SUBCOMMANDS, export_options, runner_options, service_options
from flame_jupyter.wording import close_matches

_TYPO = 0.75  # difflib's ratio of two words that differ by one letter or by two swapped ones, five letters and up
_NUMBER = re.compile(r"\d+\Z")
# The braces and dollars in these values are Python's or the glob's own; a value reaches to the next option.
_VERBATIM = re.compile(r"(--(?:instance|include|exclude)(?=[\s=]).*?)(?=\s--[a-z]|\Z)", re.DOTALL)
_VERBATIM_OPTIONS = frozenset({"instance", "include", "exclude"})
_UNEXPANDED = re.compile(r"\{[^{}]*\}|\$\w+")


def parse_runner(line: str) -> RunnerLine:
    """Read the line of ``%flame_runner``. Raises UsageError, in one line, with the cure."""
    values = _parsed(runner_options, line)
    words: list[str] = values.pop("words")
    subcommand, operands = "start", tuple(words)
    if words and words[0] in SUBCOMMANDS:
        subcommand, operands = words[0], tuple(words[1:])
    elif words:
        if close := close_matches(words[0].lower(), SUBCOMMANDS, cutoff=_TYPO):
            raise UsageError(
                f"%flame_runner {words[0]}: did you mean '{close[0]}'? "
                f"For a Runner of that name write: %flame_runner start --name {words[0]}"
            )
        if values["name"] is not None:
            raise UsageError(f"the Runner is named twice: {words[0]!r} and --name {values['name']}. Leave one out.")
        values["name"], operands = words[0], tuple(words[1:])
    _check_operands(subcommand, operands)
    _reject_foreign_options(subcommand, values)
    if values["is_local"] and values["context"] is not None:
        raise UsageError("--local and --cluster exclude each other: keep one.")
    for option in ("include", "exclude", "deps"):
        values[option] = tuple(values[option] or ())
    if values["workers"] is not None:
        values["workers"] = _whole("--workers", values["workers"])
        if values["workers"] < 1:
            raise UsageError("--workers needs at least 1, for example --workers 4.")
    for option in ("wait_s", "timeout_s"):
        if values[option] is not None:
            values[option] = _seconds(option, values[option])
    _check_identifier("--as", values["bind_as"])
    return RunnerLine(subcommand=subcommand, operands=operands, **values)


def parse_service(line: str) -> ServiceLine:
    """Read the line of ``%%flame_service``. Raises UsageError, in one line, with the cure."""
    values = _parsed(service_options, line)
    is_autoscale, is_fixed = values.pop("autoscale"), values.pop("fixed")
    if is_autoscale and is_fixed:
        raise UsageError("--autoscale and --fixed exclude each other: keep one.")
    tokens = values.pop("instance")
    for option in ("warmup", "retries"):
        values[option] = 0 if values[option] is None else _whole(f"--{option}", values[option])
    _check_identifier("TARGET", values["target"])
    _check_identifier("--as", values["bind_as"])
    return ServiceLine(
        is_instance=tokens is not None,
        expression=_as_written(tokens or [], line),
        autoscale=True if is_autoscale else False if is_fixed else None,
        **values,
    )


def parse_export(line: str) -> ExportLine:
    """Read the line of ``%%flame_export``. Raises UsageError, in one line, with the cure."""
    return ExportLine(**_parsed(export_options, line))


def expanded(line: str, expand: Callable[[str], str]) -> str:
    """Expand ``{name}`` and ``$name`` in the line, but not in expressions and globs."""
    pieces = _VERBATIM.split(line)
    return "".join(piece if index % 2 else expand(piece) for index, piece in enumerate(pieces) if piece)


def _parsed(options: Callable[[str], None], line: str) -> dict[str, Any]:
    parser: MagicArgumentParser = cast(Any, options).parser
    try:
        words = _words(line)
    except ValueError as error:
        raise UsageError(f"{error} in {line.strip()!r}: close the quote.") from error
    known = [flag for action in parser._actions for flag in action.option_strings]
    for word in words:
        flag = word.partition("=")[0]
        if flag.startswith("--") and len(flag) > 2 and not any(option.startswith(flag) for option in known):
            close = close_matches(flag, known) if flag != "--help" else []
            hint = f"Did you mean {close[0]}?" if close else f"{_help_of(parser)} lists the options."
            raise UsageError(f"unknown option {flag}. {hint}")
    try:
        namespace: argparse.Namespace = parser.parse_intermixed_args(words)  # options before words too
    except UsageError as error:
        raise UsageError(f"{error}. A value with spaces needs quotes; {_help_of(parser)} lists the options.") from error
    values = {name: _unquoted(value) for name, value in vars(namespace).items()}
    _check_expanded(values)
    return values


def _help_of(parser: MagicArgumentParser) -> str:
    """What a user types to see the options."""
    return "%flame_runner?" if parser.prog == "flame_runner" else f"%%{parser.prog}?"


def _words(line: str) -> list[str]:
    """Split as IPython does: quotes stay, a backslash is a backslash; a comment at the end goes.

    Raises ValueError for an open quote.
    """
    lexer = shlex.shlex(line, posix=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = []
    for word in lexer:
        if word.startswith("#"):
            break
        words.append(word)
    return words


def _unquoted(value: Any) -> Any:
    """Strip one level of matching quotes, which IPython leaves in."""
    if isinstance(value, list):
        return [_unquoted(item) for item in value]
    if isinstance(value, str) and len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value


def _check_expanded(values: Mapping[str, Any]) -> None:
    for name, value in values.items():
        texts = [] if name in _VERBATIM_OPTIONS else value if isinstance(value, list) else [value]
        for text in texts:
            if isinstance(text, str) and (left := _UNEXPANDED.search(text)):
                raise UsageError(f"'{left.group()}' is not defined: define that variable before this cell runs.")


def _check_operands(subcommand: str, operands: tuple[str, ...]) -> None:
    grammar = SUBCOMMANDS[subcommand]
    if len(operands) < grammar.min_operands:
        raise UsageError(f"%flame_runner {subcommand} needs a name: %flame_runner {subcommand} {grammar.operands}.")
    if grammar.max_operands is not None and len(operands) > grammar.max_operands:
        extra = operands[grammar.max_operands]
        also = "" if grammar.max_operands else " Its options start with '--'."
        raise UsageError(f"%flame_runner {subcommand} takes no word {extra!r}.{also}")


def _reject_foreign_options(subcommand: str, values: Mapping[str, Any]) -> None:
    """An option that another subcommand reads would be ignored here: say where it belongs."""
    for flag, option in options_of(runner_options).items():
        mine = (*SUBCOMMANDS[subcommand].options, *EVERYWHERE)
        if values.get(option) not in (None, False) and flag not in mine:
            owners = [name for name, each in SUBCOMMANDS.items() if flag in each.options]
            shown = " or ".join(f"'%flame_runner {each}'" for each in owners)
            raise UsageError(f"{flag} belongs to {shown}, not to '{subcommand}'.")


def options_of(options: Callable[[str], None]) -> dict[str, str]:
    """The flags of a magic, each with the name under which its value is kept."""
    parser: MagicArgumentParser = cast(Any, options).parser
    return {flag: action.dest for action in parser._actions for flag in action.option_strings if flag != "-h"}


def _whole(flag: str, text: str) -> int:
    if not _NUMBER.match(text):
        raise UsageError(f"{flag} {text}: not a whole number. Write for example {flag} 2.")
    return int(text)


def _seconds(option: str, text: str) -> float:
    flag = "--" + option.removesuffix("_s")
    try:
        value = float(text)
    except ValueError as error:
        raise UsageError(f"{flag} {text}: not a number of seconds. Write for example {flag} 30.") from error
    if not 0 <= value < float("inf"):
        raise UsageError(f"{flag} {text}: seconds cannot be negative or endless. Write for example {flag} 30.")
    return value


def _check_identifier(what: str, name: str | None) -> None:
    if name is not None and not name.isidentifier():
        raise UsageError(f"{what} {name}: not a name that a variable can have.")


def _as_written(tokens: list[str], line: str) -> str:
    """The expression with the spaces that it has in the line."""
    found = re.search(r"\s+".join(map(re.escape, tokens)), line) if len(tokens) > 1 else None
    return found.group() if found else " ".join(tokens)
