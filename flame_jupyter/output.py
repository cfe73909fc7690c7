# SPDX-License-Identifier: Apache-2.0
"""Speaks to the user: what magics print, and warnings that point at the user's own line."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

_OURS = frozenset({"flame_jupyter", "flamepy", "IPython", "ipykernel"})


def say(text: str) -> None:
    """Standard output is where a magic speaks."""
    print(text)  # noqa: T201


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn as if the nearest line that is the user's own had done it."""
    level = 2  # our caller
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] in _OURS:
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level if frame is not None else 2)
