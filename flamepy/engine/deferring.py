# SPDX-License-Identifier: Apache-2.0
"""The completion of engines whose own thread may not run the code of others: it wakes waiters, and defers the rest."""

from __future__ import annotations

from collections.abc import Callable

from flamepy.engine.completion import Completion, Outcome, call_all, call_next, remove_all


class DeferringCompletion(Completion):
    """Wakes what is the engine's own at once, in the middle of an iteration; other callbacks it hands on."""

    __slots__ = ("_deferred",)

    def __init__(self, session_id: str, task_id: str, name: str = "") -> None:
        Completion.__init__(self, session_id, task_id, name)  # super() costs as much as all of it, and once a call
        self._deferred: list[Callable[[], object]] = []

    on_done_at_once = Completion.on_done
    """As ``on_done``, for a few instructions of the engine's own."""

    def on_done(self, callback: Callable[[], object]) -> None:
        self._deferred.append(callback)
        if self.outcome is not None:
            call_all(self._deferred)

    def remove_callbacks(self, callback: Callable[[], object]) -> int:
        return remove_all(self._deferred, callback)

    def _wake_by(self, wake: Callable[[], object]) -> None:
        self.on_done_at_once(wake)

    def _forget_waker(self, wake: Callable[[], object]) -> None:
        remove_all(self._callbacks, wake)

    def complete(self, outcome: Outcome, call_back: Callable[[Callable[[], object]], object] | None = None) -> None:
        """Store the outcome. call_back: takes the other callbacks, to be called later; None = call them here."""
        if self.outcome is None:
            self._end(outcome)
        if self._callbacks:
            call_all(self._callbacks)
        if call_back is None:
            call_all(self._deferred)
            return
        for _ in range(len(self._deferred)):  # one by one: what one raises must not keep the others from being called
            call_back(lambda: call_next(self._deferred))
