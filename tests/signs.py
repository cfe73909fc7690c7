# SPDX-License-Identifier: Apache-2.0
"""How a test learns how far a call or a worker is: it looks until that is reached, for a bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

from flamepy.engine.api import Engine, WorkerView

BOUND_S = 20.0


def until_exists(path: Path) -> None:
    deadline_s = time.monotonic() + BOUND_S
    while not path.exists():
        assert time.monotonic() < deadline_s, f"{path} did not appear within {BOUND_S} s"
        threading.Event().wait(0.005)


def reached(condition: Callable[[], bool]) -> bool:
    """Look until ``condition`` holds, for a bounded time; tells whether it does."""
    deadline_s = time.monotonic() + BOUND_S
    while not (holds := condition()) and time.monotonic() < deadline_s:
        threading.Event().wait(0.005)
    return holds  # not asked again: it may hold for a moment only


def worker_pids(engine: Engine, is_wanted: Callable[[WorkerView], bool] = lambda _: True) -> list[int]:
    """The processes of these workers, as soon as there is one, and none of them is just being started."""
    pids: list[int | None] = []

    def are_known() -> bool:
        pids[:] = [each.pid for each in engine.workers() if is_wanted(each)]
        return bool(pids) and None not in pids

    assert reached(are_known), f"the processes of workers: {pids}"
    return [pid for pid in pids if pid is not None]
