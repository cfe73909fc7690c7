# SPDX-License-Identifier: Apache-2.0
"""How a call tells a test that it has begun: it makes a file, and the test waits for it, for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

BOUND_S = 20.0


def until_exists(path: Path) -> None:
    deadline_s = time.monotonic() + BOUND_S
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} did not appear within {BOUND_S} s"
        threading.Event().wait(0.005)


def reached(condition: Callable[[], bool]) -> bool:
    """Look until ``condition`` holds, for a bounded time; tells whether it does."""
    deadline_s = time.monotonic() + BOUND_S
    while not condition() and time.monotonic() < deadline_s:
        threading.Event().wait(0.005)
    return condition()
