# SPDX-License-Identifier: Apache-2.0
"""An option that an engine does not heed is never ignored in silence: one line says so, and what to do."""

from __future__ import annotations

import warnings

from flamepy.engine.api import Capability, EngineInfo


class UnsupportedOptionWarning(UserWarning):
    """An option was given that the engine does not heed; the rest of the request was carried out."""


def warn_if_unsupported(info: EngineInfo, needed: Capability, option: str, *, stacklevel: int) -> None:
    """Warn where the engine cannot do what ``option`` asks for.

    Args:
        info: Of the engine.
        needed: What the option takes.
        option: As the user wrote it, such as ``resreq='cpu=2'``.
        stacklevel: As in ``warnings.warn``, counted from the caller of this function.
    """
    if needed not in info.capabilities:
        warnings.warn(
            f"{option} has no effect here: the {info.kind} engine cannot {needed.value}. Leave it out, or keep it for "
            "an engine that can.",
            UnsupportedOptionWarning,
            stacklevel=stacklevel + 1,
        )
