# SPDX-License-Identifier: Apache-2.0
"""The states of a call as a display tells them: one member each, with its sign, its words and what follows from it.

The order is that in which states are counted: how calls have ended, then what the others do. Pure.
"""

from __future__ import annotations

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


class CallState(Enum):
    """The value is the engine's name of the state; those that the display adds have names of their own.

    Attributes:
        icon: One character that many fonts have; the words beside it say the same.
        word: The state in words, at the beginning of a line.
        tone: The colour of the icon and of the edge, never of the text.
        phase: Where in its life the call is.
        sentence: The state with its time, for ``str.format``: ``word``, ``elapsed``, ``clock``.
        announce: Whether a screen reader is told.
        noun: After a number, as in ``2 failed``.
    """

    icon: str
    word: str
    tone: Tone
    phase: Phase
    sentence: str
    announce: Announce
    noun: str

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
    WAITING = (
        "waiting", "‖", "Waiting for its arguments", "neutral", Phase.PENDING,
        "{word}, {elapsed} so far, pending at {clock}",
    )  # fmt: skip
    UNKNOWN = "unknown", "?", "Unknown", "neutral", Phase.PENDING, _SINCE

    def __new__(
        cls,
        value: str,
        icon: str,
        word: str,
        tone: Tone,
        phase: Phase,
        sentence: str,
        announce: Announce = Announce.NEVER,
        noun: str = "",
    ) -> CallState:
        member = object.__new__(cls)
        member._value_ = value
        member.icon, member.word, member.tone, member.phase = icon, word, tone, phase
        member.sentence, member.announce, member.noun = sentence, announce, noun or value
        return member

    @classmethod
    def named(cls, name: str) -> CallState:
        """The state that an engine calls so. A later engine may know more states than this version."""
        return _BY_NAME.get(name, cls.UNKNOWN)

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


_BY_NAME = {str(state.value): state for state in CallState}
