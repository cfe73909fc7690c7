# SPDX-License-Identifier: Apache-2.0
"""States on the wire are numbers; a later server may send one that this release does not know."""

from __future__ import annotations

from enum import IntEnum
from typing import TypeVar

from flamepy.errors import FlameError, FlameErrorCode

State = TypeVar("State", bound=IntEnum)


def state_of(states: type[State], number: int) -> State:
    """The state of that number. Raises FlameError for one that this release does not know."""
    try:
        return states(number)
    except ValueError as error:
        raise FlameError(
            FlameErrorCode.INTERNAL,
            f"{states.__name__} {number} came over the wire, which this release does not know: it speaks Flame 0.6. "
            "Install a release of flame-jupyter that is made for what the other end speaks.",
        ) from error
