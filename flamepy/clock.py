# SPDX-License-Identifier: Apache-2.0
"""The clock that waits and deadlines go by: it runs on when a program stops or moves the clocks of ``time``.

Tools for tests replace ``time.monotonic`` and ``time.perf_counter`` in every module that is loaded. A wait that
compares such a clock never ends.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def _real_monotonic() -> Callable[[], float]:
    """The function of a ``time`` module of our own, which no tool knows. Wrapping the known one costs twice a call."""
    loader: Any = time.__loader__
    own = loader.create_module(time.__spec__)
    loader.exec_module(own)
    clock: Callable[[], float] = own.monotonic
    return clock


monotonic_s = _real_monotonic()  # () -> seconds since some moment in the past
