# SPDX-License-Identifier: Apache-2.0
"""What a screen reader is told: single calls by name, many at once in one sentence, never a queue of them.

Every displayed call of the notebook reports here when its state changes; the updater of views lets one live view say
the result. Pure: the clock is an argument.
"""

from __future__ import annotations

from collections import Counter

from flame_jupyter.display.model.call_state import Announce, CallState
from flame_jupyter.display.model.formatting import counted, head
from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render.text import state_text

PAUSE_S = 2.0  # a voice needs so long for one sentence
HEADLINE_CHARS = 120


class Announcements:
    """Changes of state that were not announced yet: of each call the latest."""

    def __init__(self) -> None:
        self._untold: dict[int, Snapshot] = {}
        self._told_s = float("-inf")
        self._told_end_s = float("-inf")

    def note(self, snapshot: Snapshot) -> None:
        """This call has come to this state."""
        if snapshot.state.announce is not Announce.NEVER:
            self._untold[snapshot.id] = snapshot

    def is_due(self, now_s: float) -> bool:
        """Is there something to say, and has the last sentence been heard? An end does not wait for a beginning."""
        if not self._untold:
            return False
        has_end = any(snapshot.state.is_terminal for snapshot in self._untold.values())
        return now_s - (self._told_end_s if has_end else self._told_s) >= PAUSE_S

    def tell(self, now_s: float) -> tuple[str, frozenset[int]]:
        """The sentence that is due, and the ids of the calls whose end it tells."""
        told, self._untold = list(self._untold.values()), {}
        ended = frozenset(snapshot.id for snapshot in told if snapshot.state.is_terminal)
        self._told_s = now_s
        if ended:
            self._told_end_s = now_s
        return _one(told[0]) if len(told) == 1 else _many(told), ended

    def forget(self) -> None:
        """There is no page that could be told."""
        self._untold.clear()


def _one(snapshot: Snapshot) -> str:
    """``train number 3: Done in 2.3 s``; of a call that runs only that: how long is no news."""
    words = state_text(snapshot) if snapshot.state.is_terminal else snapshot.word
    problem = f", {head(snapshot.problem.headline, max_chars=HEADLINE_CHARS)}" if snapshot.problem is not None else ""
    return f"{snapshot.name} number {snapshot.id}: {words}{problem}"


def _many(snapshots: list[Snapshot]) -> str:
    """``5 calls finished, 1 failed``, where the second number is part of the first; ``2 calls running``."""
    counts = Counter(snapshot.state for snapshot in snapshots)
    told = [state for state in CallState if counts[state] and state.announce is Announce.BY_NUMBER]
    ended = sum(snapshot.state.is_terminal for snapshot in snapshots)
    if not ended:
        return f"{counted(len(snapshots), 'call')} {' or '.join(state.noun for state in told)}"
    return ", ".join([f"{counted(ended, 'call')} finished", *(f"{counts[state]} {state.noun}" for state in told)])
