# SPDX-License-Identifier: Apache-2.0
"""The completion of engines whose own thread may not run the code of others: it wakes waiters, and defers the rest."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from flamepy.engine.completion import Completion, Outcome, call_all, call_next


class DeferringCompletion(Completion):
    """Wakes what is the engine's own at once, in the middle of an iteration; other callbacks it hands on."""

    __slots__ = ("_wakers",)

    def __init__(self, session_id: str, task_id: str, name: str = "") -> None:
        super().__init__(session_id, task_id, name)
        self._wakers: list[Callable[[], object]] | None = None

    def on_done_at_once(self, callback: Callable[[], object]) -> None:
        """As ``on_done``, for a few instructions of the engine's own."""
        if self._wakers is None:
            self._wakers = []
        self._wakers.append(callback)
        if self.outcome is not None:
            call_all(self._wakers)

    def _wake_by(self, wake: Callable[[], object]) -> None:
        self.on_done_at_once(wake)

    def _forget_waker(self, wake: Callable[[], object]) -> None:
        if self._wakers:
            with contextlib.suppress(ValueError):
                self._wakers.remove(wake)

    def complete(self, outcome: Outcome, call_back: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Store the outcome. call_back: takes the other callbacks, to be called later; None = call them here."""
        if self.outcome is None:
            self._end(outcome)
        if self._wakers:
            call_all(self._wakers)
        if self._callbacks:
            callbacks = self._callbacks
            if call_back is None:
                call_all(callbacks)
            else:  # one by one: what one raises must not keep the others from being called
                for _ in range(len(callbacks)):
                    call_back(lambda: call_next(callbacks))
