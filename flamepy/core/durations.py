# SPDX-License-Identifier: Apache-2.0
"""How long the next call of a service is expected to take."""

from __future__ import annotations

# Weight of the newest duration. A call that was merely off its processor for a while must not make the others look
# slow; when one really is, its backlog is taken back.
_SMOOTHING_DOWN, _SMOOTHING_UP = 0.5, 0.05


def expected_after(known_s: float | None, duration_s: float) -> float:
    """What is expected (seconds) after a call took ``duration_s``; ``known_s``: what was before, None = nothing."""
    if known_s is None:
        return duration_s
    weight = _SMOOTHING_DOWN if duration_s < known_s else _SMOOTHING_UP
    return known_s + weight * (duration_s - known_s)
