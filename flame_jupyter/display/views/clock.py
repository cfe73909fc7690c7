# SPDX-License-Identifier: Apache-2.0
"""The two clocks that a display needs, passed in so that a test can move them by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from flamepy.front_ends import monotonic_s


@dataclass
class Clock:
    """now: monotonic seconds, for what is due. wall: seconds since the epoch, for what is shown."""

    now: Callable[[], float] = monotonic_s
    wall: Callable[[], float] = time.time
