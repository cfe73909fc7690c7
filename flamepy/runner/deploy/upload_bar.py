# SPDX-License-Identifier: Apache-2.0
"""A bar for uploads that take long enough to wonder about."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

APPEARS_AFTER_S = 2.0  # most packages are sent sooner, and show nothing


@contextlib.contextmanager
def upload_bar(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yields what is told bytes sent and bytes in all; draws on standard error, in a notebook too."""
    bars: list[Any] = []

    def tell(sent_bytes: int, total_bytes: int) -> None:
        if not bars:
            bars.append(_bar(name, total_bytes))
        bars[0].update(sent_bytes - bars[0].n)  # fewer, when it is sent once more

    try:
        yield tell
    finally:
        for bar in bars:
            bar.close()


def _bar(name: str, total_bytes: int) -> Any:
    from tqdm.std import tqdm  # here, because few packages are sent anywhere

    class Bar(tqdm):  # type: ignore[misc]  # tqdm has no types
        """Without the thread and the process lock that tqdm has for bars that several draw."""

        monitor_interval = 0
        _lock = threading.RLock()

    return Bar(
        total=total_bytes,
        desc=f"Uploading {name}",
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        delay=APPEARS_AFTER_S,
        leave=False,
        file=sys.stderr,
    )
