# SPDX-License-Identifier: Apache-2.0
"""The completion of engines whose own thread may not run the code of others: it wakes waiters, and defers the rest."""

from __future__ import annotations

from collections.abc import Callable

from flamepy.engine.completion import Completion, Outcome, call_all, call_next, first_callback, remove_all


class DeferringCompletion(Completion):
    """Wakes what is the engine's own at once, in the middle of an iteration; other callbacks it hands on."""

    __slots__ = ("_deferred",)  # made for the first of them: most calls have none

    on_done_at_once = Completion.on_done
    """As ``on_done``, for a few instructions of the engine's own."""

    def on_done(self, callback: Callable[[], object]) -> None:
        deferred = self._deferred_callbacks()
        deferred.append(callback)
        if self.outcome is not None:
            call_all(deferred)

    def _deferred_callbacks(self) -> list[Callable[[], object]]:
        try:
            return self._deferred
        except AttributeError:
            with first_callback:
                if not hasattr(self, "_deferred"):
                    self._deferred: list[Callable[[], object]] = []
            return self._deferred

    def remove_callbacks(self, callback: Callable[[], object]) -> int:
        return remove_all(getattr(self, "_deferred", None), callback)

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
        deferred = getattr(self, "_deferred", None)
        if not deferred:
            return
        if call_back is None:
            call_all(deferred)
        else:  # one by one: what one raises must not keep the others from being called
            for _ in range(len(deferred)):
                call_back(lambda: call_next(deferred))
