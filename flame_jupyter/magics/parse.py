# SPDX-License-Identifier: Apache-2.0
"""From the line of a magic to the record of what it asks for, by the declarations in lines.py. Pure: no shell."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic_arguments import MagicArgumentParser

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.magics.options import MagicOptions, export_options, runner_options, service_options
from flame_jupyter.options import Kind, Option, options_of
from flame_jupyter.wording import close_matches

_TYPO = 0.75  # difflib's ratio of two words that differ by one letter or by two swapped ones, five letters and up
_NUMBER = re.compile(r"\d+\Z")
_VERBATIM_OPTIONS = {
    name: each.flag
    for record in (RunnerLine, ServiceLine)
    for name, each in options_of(record).items()
    if each.is_verbatim
}
# The braces and dollars in these values are Python's or the glob's own; a value reaches to the next option.
_VERBATIM = re.compile(rf"((?:{'|'.join(_VERBATIM_OPTIONS.values())})(?=[\s=]).*?(?=\s--[a-z]|\Z))", re.DOTALL)
_UNEXPANDED = re.compile(r"\{[^{}]*\}|\$\w+")


def parse_runner(line: str) -> RunnerLine:
    """Read the line of ``%flame_runner``. Raises UsageError, in one line, with the cure."""
    values, words = _parsed(runner_options, line)
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
    return RunnerLine(subcommand, operands, **_read(RunnerLine, values, line))


def parse_service(line: str) -> ServiceLine:
    """Read the line of ``%%flame_service``. Raises UsageError, in one line, with the cure."""
    values, words = _parsed(service_options, line)
    target = _only(words, service_options)
    _check_identifier("TARGET", target)
    return ServiceLine(target, **_read(ServiceLine, values, line))


def parse_export(line: str) -> ExportLine:
    """Read the line of ``%%flame_export``. Raises UsageError, in one line, with the cure."""
    values, words = _parsed(export_options, line)
    return ExportLine(_only(words, export_options), **_read(ExportLine, values, line))


def expanded(line: str, expand: Callable[[str], str]) -> str:
    """Expand ``{name}`` and ``$name`` in the line, but not in expressions and globs."""
    pieces = _VERBATIM.split(line)
    return "".join(piece if index % 2 else expand(piece) for index, piece in enumerate(pieces) if piece)


def _parsed(options: MagicOptions, line: str) -> tuple[dict[str, Any], list[str]]:
    """The values of the options by their names, and the words that are none."""
    parser = options.parser
    try:
        words = _words(line)
    except ValueError as error:
        raise UsageError(f"{error} in {line.strip()!r}: close the quote.") from error
    for word in words:
        flag = word.partition("=")[0]
        if flag.startswith("--") and len(flag) > 2 and not any(option.startswith(flag) for option in options.flags):
            close = close_matches(flag, options.flags) if flag != "--help" else []
            hint = f"Did you mean {close[0]}?" if close else f"{_help_of(parser)} lists the options."
            raise UsageError(f"unknown option {flag}. {hint}")
    try:
        namespace, left = parser.parse_known_args(words)
    except UsageError as error:
        raise _not_understood(error, parser) from error
    if strange := [word for word in left if word.startswith("-")]:
        raise _not_understood(f"unrecognized arguments: {' '.join(strange)}", parser)
    values = {name: _unquoted(value) for name, value in vars(namespace).items()}
    plain = [_unquoted(word) for word in left]
    _check_expanded({**values, "": plain})
    return values, plain


def _only(words: list[str], options: MagicOptions) -> str | None:
    """The one word that may stand there; None when there is none."""
    if len(words) > 1:
        raise _not_understood(f"unrecognized arguments: {' '.join(words[1:])}", options.parser)
    return words[0] if words else None


def _not_understood(what: object, parser: MagicArgumentParser) -> UsageError:
    return UsageError(f"{what}. A value with spaces needs quotes; {_help_of(parser)} lists the options.")


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
    for name, each in options_of(RunnerLine).items():
        if values[name] not in (None, False) and not each.belongs_to(subcommand):
            shown = " or ".join(f"'%flame_runner {command}'" for command in each.commands)
            raise UsageError(f"{each.flag} belongs to {shown}, not to '{subcommand}'.")


def _read(record: type[Any], values: Mapping[str, Any], line: str) -> dict[str, Any]:
    """What the fields of the record get that the line has options for. Raises UsageError."""
    given = {name: _value(name, each, values, line) for name, each in options_of(record).items()}
    defaults = {each.name: each.default for each in fields(record)}
    return {name: defaults[name] if value is None else value for name, value in given.items()}


def _value(name: str, each: Option, values: Mapping[str, Any], line: str) -> Any:
    """As the record holds it; None where the option was left out."""
    value = values[name]
    if each.kind is Kind.EITHER:
        if value and values[f"not_{name}"]:
            raise UsageError(f"{each.flag} and {each.opposite[0]} exclude each other: keep one.")
        return False if values[f"not_{name}"] else value
    if value is None:
        return None
    if each.kind is Kind.VARIABLE:
        _check_identifier(each.flag, value)
    elif each.kind is Kind.COUNT:
        return _whole(each, value)
    elif each.kind is Kind.SECONDS:
        return _seconds(each.flag, value)
    elif each.kind is Kind.REPEATED:
        return tuple(value)
    elif each.kind is Kind.EXPRESSION:
        return _as_written(value, line)
    return value


def _whole(each: Option, text: str) -> int:
    if not _NUMBER.match(text):
        raise UsageError(f"{each.flag} {text}: not a whole number. Write for example {each.flag} 2.")
    if int(text) < each.at_least:
        raise UsageError(f"{each.flag} needs at least {each.at_least}, for example {each.flag} 4.")
    return int(text)


def _seconds(flag: str, text: str) -> float:
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
