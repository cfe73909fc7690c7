# SPDX-License-Identifier: Apache-2.0
"""Follow one task: an iterator over its states, and what wants to be told about them."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from flamepy.clock import monotonic_s
from flamepy.core.task import Task
from flamepy.errors import CallTimeout, FlameError


class TaskInformer(Protocol):
    """What ``Session.invoke`` tells how its task gets on, in the calling thread. Write a class with these methods.

    Example:
        >>> import pickle
        >>> import flamepy
        >>> from flamepy.runner import RunnerContext, RunnerRequest
        >>> session = flamepy.create_session("flmrun", pickle.dumps(RunnerContext(len)))
        >>> class Printer:
        ...     def on_update(self, task):
        ...         print(task.state.name)
        ...     def on_error(self, error):
        ...         print(error)
        >>> output = session.invoke(pickle.dumps(RunnerRequest(args=("four",))), Printer())
        SUCCEED
        >>> session.close()
    """

    def on_update(self, task: Task) -> None:
        """The task has a new state; the last one is terminal.

        Args:
            task: A snapshot of it.
        """
        ...

    def on_error(self, error: FlameError) -> None:
        """The task has no output.

        Args:
            error: What ``invoke`` raises next.
        """
        ...


class TaskWatcher(Iterator[Task]):
    """The task at each change of state, up to a terminal one. Made by ``Session.watch_task``.

    Example:
        >>> import pickle
        >>> import flamepy
        >>> from flamepy.runner import RunnerContext, RunnerRequest
        >>> session = flamepy.create_session("flmrun", pickle.dumps(RunnerContext(len)))
        >>> task = session.create_task(pickle.dumps(RunnerRequest(args=("four",))))
        >>> [each.state.name for each in session.watch_task(task.id, timeout=60)]
        ['SUCCEED']
        >>> session.close()
    """

    # The engine's iterator blocks without a bound. With one, a thread reads it and hands over; it ends with the task.

    def __init__(self, changes: Iterator[Task], *, timeout_s: float | None = None) -> None:
        self._timeout_s = timeout_s
        self._next: Callable[[], Task | None]
        if timeout_s is None:
            self._next = lambda: next(changes, None)
            return
        self._deadline_s = monotonic_s() + timeout_s
        self._handed_over: queue.SimpleQueue[Task | FlameError | None] = queue.SimpleQueue()
        self._next = self._next_in_time
        threading.Thread(target=self._hand_over, args=(changes,), name="flame-watch", daemon=True).start()

    def __iter__(self) -> TaskWatcher:
        return self

    def __next__(self) -> Task:
        """The task at its next change of state.

        Raises:
            CallTimeout: When the time has passed that ``watch_task`` was given.
        """
        task = self._next()
        if task is None:
            self._next = lambda: None
            raise StopIteration
        return task

    def _next_in_time(self) -> Task | None:
        try:
            change = self._handed_over.get(timeout=max(0.0, self._deadline_s - monotonic_s()))
        except queue.Empty:
            raise CallTimeout(
                f"the watched task did not end within {self._timeout_s} s: watch it longer, or close its session."
            ) from None
        if isinstance(change, FlameError):
            raise change
        return change

    def _hand_over(self, changes: Iterator[Task]) -> None:
        try:
            for task in changes:
                self._handed_over.put(task)
        except FlameError as error:
            self._handed_over.put(error)
        finally:
            self._handed_over.put(None)
