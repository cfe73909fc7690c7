# SPDX-License-Identifier: Apache-2.0
"""The completion of a call on the embedded engine: a thread that waits for it may run the event loop meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from flamepy.engine.completion import Completion
from flamepy.engine.deferring import DeferringCompletion


class LocalCompletion(DeferringCompletion):
    """waiter: the engine's way to wait, with the meaning of ``block``."""

    __slots__ = ("_waiter",)

    def __init__(
        self, session_id: str, task_id: str, name: str, waiter: Callable[[Completion, float | None], bool]
    ) -> None:
        DeferringCompletion.__init__(self, session_id, task_id, name)  # not super(): see there
        self._waiter = waiter

    def wait(self, timeout_s: float | None = None) -> bool:
        return self.outcome is not None or self._waiter(self, timeout_s)
