# SPDX-License-Identifier: Apache-2.0
"""What a service cell prints: that its service is ready, or new, and why, and which others are old now. Texts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from flame_jupyter.wording import counted, listed

if TYPE_CHECKING:
    from flame_jupyter.service.record import ServiceRecord

FORCED = "--force"


def ready_text(record: ServiceRecord, name: str) -> str:
    """name: what the cell calls it."""
    what = record.kind if record.variable == name else f"serves {name}"
    when = "ready" if record.service is not None else "opens at the first call"
    return f"{record.variable}: {what}, {when}"


def redefined_text(old: ServiceRecord, new: ServiceRecord, running: int) -> str:
    """running: calls that have not ended on the old session."""
    reset = calls = ""
    if old.service is not None:
        # the object of a class that was never called has no state to lose
        reset = "" if new.kind == "function" else "; state reset"
    if running:
        calls = f"; {running} call{'s' if running > 1 else ''} still running on the old one"
    return f"{new.variable}: redefined{calls}{reset}"


def moved_text(runner: str, where: str, names: Sequence[str], objects: Sequence[str], running: int) -> str:
    """names: the services that were declared anew there; objects: those among them whose state stays behind."""
    if not names:
        return f"Flame: Runner {runner} now uses {where}."
    calls = ""
    if running:
        go, they = ("goes", "it") if running == 1 else ("go", "they")
        calls = f" {counted(running, 'call')} that had begun {go} on where {they} began."
    state = f" The state of {listed(objects)} does not move: it begins anew." if objects else ""
    return f"Flame: {listed(names)} now run{'s' if len(names) == 1 else ''} on {where}.{state}{calls}"


def reason_text(changed: Sequence[str]) -> str:
    """The reason, at the end of that line."""
    if not changed:
        return ""
    return f", because of {FORCED}" if changed[0] == FORCED else f", because {listed(changed)} changed"


def stale_text(stale: Mapping[str, Sequence[str]]) -> str:
    """A second line, about services that were made with what has changed since: variable -> what."""
    if not stale:
        return ""
    changed = list(dict.fromkeys(name for names in stale.values() for name in names))
    return f"\n{listed(changed)} changed: run the cells of {listed(list(stale))} again to use the new code."
