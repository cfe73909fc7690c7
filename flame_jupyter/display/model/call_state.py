# SPDX-License-Identifier: Apache-2.0
"""The states of a call as a display tells them: one member each, with its sign, its words and what follows from it.

The order is that in which states are counted: how calls have ended, then what the others do. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal

Tone = Literal["neutral", "info", "success", "error", "warn"]


class Phase(Enum):
    """Where in its life a call is."""

    PENDING = auto()  # its time still runs
    READING = auto()  # it has ended, and its result is on the way to the page
    ENDED = auto()
    FAILED = auto()  # ended with an error that says why


class Announce(Enum):
    """Whether a screen reader is told that a call has come to a state."""

    NEVER = auto()  # what comes before the run is not worth a sentence
    IN_TOTAL = auto()  # of many calls, only how many have ended
    BY_NUMBER = auto()  # of many calls, how many are in this state


_IN, _AFTER = "{word} in {elapsed}", "{word} after {elapsed}"
_SINCE = "{word} for {elapsed}, pending at {clock}"  # it may be read much later: it tells when it was true
_SO_FAR = "{word}, {elapsed} so far, pending at {clock}"


@dataclass(frozen=True, repr=False)
class _Appearance:
    engine_name: str
    icon: str
    word: str
    tone: Tone
    phase: Phase
    sentence: str
    announce: Announce = Announce.NEVER
    counted_as: str = ""


class CallState(_Appearance, Enum):
    """A state, with how it is shown.

    Attributes:
        engine_name: What engines call it; the states that the display adds have names of their own.
        icon: One character that many fonts have; the words beside it say the same.
        word: The state in words, at the beginning of a line.
        tone: The colour of the icon and of the edge, never of the text.
        phase: Where in its life the call is.
        sentence: The state with its time, for ``str.format``: ``word``, ``elapsed``, ``clock``.
        announce: Whether a screen reader is told.
        counted_as: After a number, as in ``2 failed``; "" = by its name.
    """

    SUCCEEDED = "succeeded", "✓", "Done", "success", Phase.ENDED, _IN, Announce.IN_TOTAL, "done"
    FAILED = "failed", "✗", "Failed", "error", Phase.FAILED, _AFTER, Announce.BY_NUMBER
    LOST = "lost", "!", "Lost", "warn", Phase.FAILED, _AFTER, Announce.BY_NUMBER
    CANCELLED = "cancelled", "⊘", "Cancelled", "neutral", Phase.ENDED, _AFTER, Announce.BY_NUMBER
    # the kernel has ended before the call had
    GONE = "gone", "!", "The kernel has gone", "warn", Phase.ENDED, _AFTER, Announce.IN_TOTAL
    FETCHING = "fetching", "↓", "Fetching", "info", Phase.READING, "{word}, done in {elapsed}"
    RUNNING = "running", "●", "Running", "info", Phase.PENDING, _SINCE, Announce.BY_NUMBER
    QUEUED = "queued", "○", "Queued", "neutral", Phase.PENDING, _SINCE
    # many fonts lack ⏸, others have a coloured picture
    WAITING = "waiting", "‖", "Waiting for its arguments", "neutral", Phase.PENDING, _SO_FAR
    UNKNOWN = "unknown", "?", "Unknown", "neutral", Phase.PENDING, _SINCE  # a later engine may know more of them

    @classmethod
    def named(cls, name: str) -> CallState:
        """The state that an engine calls so."""
        return _BY_NAME.get(name, cls.UNKNOWN)

    @property
    def noun(self) -> str:
        """After a number."""
        return self.counted_as or self.engine_name

    @property
    def is_pending(self) -> bool:
        """Does its time still run?"""
        return self.phase is Phase.PENDING

    @property
    def is_terminal(self) -> bool:
        """Does nothing change any more?"""
        return self.phase in (Phase.ENDED, Phase.FAILED)

    @property
    def is_failure(self) -> bool:
        """Is there an error that says why?"""
        return self.phase is Phase.FAILED


_BY_NAME = {state.engine_name: state for state in CallState}
