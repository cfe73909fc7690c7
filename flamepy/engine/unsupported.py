# SPDX-License-Identifier: Apache-2.0
"""An option that an engine does not heed is never ignored in silence: one line says so, and what to do."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from flamepy.engine.api import Capability, EngineInfo


class UnsupportedOptionWarning(UserWarning):
    """An option was given that the engine does not heed; the rest of the request was carried out."""


def warn_if_unsupported(info: EngineInfo, needed: Capability, option: str) -> None:
    """Warn, at the line of the program that called flamepy, where the engine cannot do what ``option`` asks for.

    Args:
        info: Of the engine.
        needed: What the option takes.
        option: As the user wrote it, such as ``resreq``.
    """
    if needed in info.capabilities:
        return
    level = 1
    frame: FrameType | None = sys._getframe()
    while frame is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == "flamepy":
        frame, level = frame.f_back, level + 1
    warnings.warn(
        f"{option} has no effect here: the {info.kind} engine cannot {needed.value}. Leave it out, or keep it for an "
        "engine that can.",
        UnsupportedOptionWarning,
        stacklevel=level,
    )
