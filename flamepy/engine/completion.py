# SPDX-License-Identifier: Apache-2.0
"""The engine's end of a future: how far one call is, how it ended, and who waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from flamepy.cache.api import Value
from flamepy.clock import monotonic_s
from flamepy.core.task import TaskState
from flamepy.errors import FlameError


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it
class Outcome:
    """How a call ended. Exactly one of value, failure, error is set.

    value: the encoded result. failure: an encoded ``protocol.failure.Failure``, the worker's account of an exception of
    the user's code. error: what the engine itself has to say (WorkerLost, StateLost, CallCancelled, ...).
    failed_dependency: the outcome of the argument that failed, when the call never ran.
    output: the tail of what the call printed. duration_s: how long it ran in the worker.
    warning: something that the caller should be told once (a state that cannot be saved).
    errors: the part of the output that Python code wrote to ``sys.stderr``. importing_s: the part of ``duration_s`` in
    which the worker imported what the call is made of.
    """

    state: TaskState
    value: Value | None = None
    failure: Value | None = None
    error: FlameError | None = None
    failed_dependency: Outcome | None = None
    output: bytes = b""
    duration_s: float = 0.0
    warning: str = ""
    errors: bytes = b""
    importing_s: float = 0.0


# An interrupt that comes just before the system call that waits does not end it: Python looks for one afterwards.
INTERRUPT_CHECK_S = 0.2


def look_up_at(deadline_s: float | None) -> float:
    """When a wait until ``deadline_s`` (monotonic; None = for ever) looks up next, so that no interrupt is lost."""
    soon_s = monotonic_s() + INTERRUPT_CHECK_S
    return soon_s if deadline_s is None else min(deadline_s, soon_s)


class Completion:
    """The engine's end of a future: one call, its state, and who waits for it. One thread of the engine writes it.

    Times are seconds since the epoch; 0.0 = not yet.
    """

    __slots__ = (
        "__weakref__", "_callbacks", "_observers", "created_s", "finished_s", "name", "outcome", "session_id",
        "started_s", "state", "task_id",
    )  # fmt: skip

    def __init__(self, session_id: str, task_id: str, name: str = "") -> None:
        self.session_id = session_id
        self.task_id = task_id
        self.name = name
        self.state = TaskState.PENDING
        self.created_s = time.time()
        self.started_s = 0.0
        self.finished_s = 0.0
        self.outcome: Outcome | None = None
        # made here, although most calls have none: two threads that came first at once would make one each
        self._callbacks: list[Callable[[], object]] = []
        self._observers: list[Callable[[], object]] = []

    def is_done(self) -> bool:
        return self.outcome is not None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Block until the call has ended; False when ``timeout_s`` passed first. Can be interrupted."""
        return self.outcome is not None or self.block(timeout_s)

    def block(self, timeout_s: float | None) -> bool:
        """Wait for another thread to complete the call."""
        gate = threading.Lock()
        gate.acquire()
        self._wake_by(gate.release)
        deadline_s = None if timeout_s is None else monotonic_s() + timeout_s
        try:
            while not gate.acquire(True, max(look_up_at(deadline_s) - monotonic_s(), 0.0)):
                if deadline_s is not None and monotonic_s() >= deadline_s:
                    return False
            return True
        finally:
            if self.outcome is None:  # it gives up: many short waits must not pile up here
                self._forget_waker(gate.release)

    def _wake_by(self, wake: Callable[[], object]) -> None:
        self.on_done(wake)

    def _forget_waker(self, wake: Callable[[], object]) -> None:
        self.remove_callbacks(wake)

    def on_done(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` once the call has ended: at once, or in a thread of the engine, where it must not block."""
        self._callbacks.append(callback)
        if self.outcome is not None:
            call_all(self._callbacks)

    def remove_callbacks(self, callback: Callable[[], object]) -> int:
        """Forget what ``on_done`` was given and equals ``callback``; returns how many there were."""
        return remove_all(self._callbacks, callback)

    def on_change(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` at each change of state from now on, in a thread of the engine, where it must not block."""
        self._observers.append(callback)

    def enter(self, state: TaskState) -> None:
        """For the engine: the call runs now, or waits again."""
        self.state = state
        for observer in self._observers:
            observer()

    def complete(self, outcome: Outcome) -> None:
        """For the engine: store the outcome, then wake all that wait. A second outcome is ignored."""
        self._end(outcome)
        if self._callbacks:
            call_all(self._callbacks)

    def _end(self, outcome: Outcome) -> None:
        if self.outcome is None:
            self.finished_s = time.time()
            self.state = outcome.state
            self.outcome = outcome
            for observer in self._observers:
                observer()


def remove_all(callbacks: list[Callable[[], object]], callback: Callable[[], object]) -> int:
    """Take out each that equals ``callback``; returns how many there were."""
    count = 0
    while callbacks:
        try:
            callbacks.remove(callback)
        except ValueError:
            break
        count += 1
    return count


def call_all(callbacks: list[Callable[[], object]]) -> None:
    """Call each once, whichever thread else does so at the same time."""
    while callbacks:
        call_next(callbacks)


def call_next(callbacks: list[Callable[[], object]]) -> None:
    """Take the oldest out of the list, and call it."""
    try:
        callback = callbacks.pop(0)  # one step: no two threads get the same
    except IndexError:
        return
    callback()
