# SPDX-License-Identifier: Apache-2.0
"""The Runner that ``--runner NAME`` means: the notebook's own, or one that a program made and a variable holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from flame_jupyter.lines import RunnerLine
from flame_jupyter.options import options_of
from flame_jupyter.wording import close_matches

if TYPE_CHECKING:
    from flamepy.runner import Runner


def open_runners(own: Runner | None, variables: Mapping[str, object]) -> dict[str, Runner]:
    """Every open Runner by name and by variable; where a word means two, the notebook's own comes first."""
    from flamepy.runner import Runner

    held = {
        name: value
        for name, value in list(variables.items())
        if isinstance(value, Runner) and not value.is_closed() and not name.startswith("_")
    }
    named = {each.name: each for each in held.values()}
    return {**named, **held, **({} if own is None else {own.name: own})}


def runner_called(name: str, own: Runner | None, variables: Mapping[str, object]) -> Runner | None:
    """The Runner of that name. None when none is open at all. Raises UsageError with the names that there are."""
    known = open_runners(own, variables)
    if name in known or not known:
        return known.get(name)
    close = close_matches(name, known)
    hint = f"Did you mean {close[0]!r}?" if close else f"Open are: {', '.join(known)}."
    raise UsageError(f"--runner {name}: no open Runner has that name, and no variable of it holds one. {hint}")


def with_defaults(line: RunnerLine, started: RunnerLine) -> RunnerLine:
    """``line`` with what it leaves out taken from the line of the start before."""
    kept = [name for name, each in options_of(RunnerLine).items() if each.is_kept]
    wanted = {each: getattr(line, each) or getattr(started, each) for each in kept}
    if not line.is_local and line.context is None:
        wanted |= {"is_local": started.is_local, "context": started.context}
    return replace(line, **wanted)


def different_option(line: RunnerLine, started: RunnerLine, name: str) -> str | None:
    """An option of ``line`` that asks for something else than the open Runner of that name is."""
    opened = replace(started, name=name, fail_if_exists=False)
    for field, each in options_of(RunnerLine).items():
        asked = getattr(line, field)
        if each.is_fixed and asked not in (None, (), False) and asked != getattr(opened, field):
            return each.flag
    return None
