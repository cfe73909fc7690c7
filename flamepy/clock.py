# SPDX-License-Identifier: Apache-2.0
"""The clock that waits and deadlines go by: it runs on when a program stops or moves the clocks of ``time``.

Tools for tests replace ``time.monotonic`` and ``time.perf_counter`` in every module that is loaded. A wait that
compares such a clock never ends.
"""

from __future__ import annotations

import time
from functools import partial

monotonic_s = partial(time.clock_gettime, time.CLOCK_MONOTONIC)  # () -> seconds since some moment in the past
