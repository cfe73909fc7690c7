# SPDX-License-Identifier: Apache-2.0
"""The future of a plain task. The engine only wakes it; its output is read, and copied, where it is asked for."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Callable
from typing import Any

from flamepy.client.outcome import error_of, output_of
from flamepy.core.task import TaskState
from flamepy.engine.api import CancelResult, Engine
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import CallTimeout


class TaskFuture(concurrent.futures.Future["bytes | None"]):
    """The output of a task of bytes, now or later. Made by ``Session.run``.

    It is a ``concurrent.futures.Future``: ``wait``, ``as_completed`` and ``asyncio.wrap_future`` take it.

    Example:
        >>> import pickle
        >>> import flamepy
        >>> from flamepy.runner import RunnerContext, RunnerRequest
        >>> session = flamepy.create_session("flmrun", pickle.dumps(RunnerContext(len)))
        >>> future = session.run(pickle.dumps(RunnerRequest(args=("four",))))
        >>> pickle.loads(future.result(timeout=60))
        4
        >>> session.close()
    """

    def __init__(self, engine: Engine, completion: Completion) -> None:
        super().__init__()
        self._engine = engine
        self._completion = completion
        completion.on_done(self._wake)

    def result(self, timeout: float | None = None) -> bytes | None:
        """Wait for the output.

        Args:
            timeout: Seconds; by default as long as it takes.

        Raises:
            TaskFailed: When the task failed.
            CallCancelled: When it was cancelled.
            CallTimeout: When it has not ended after ``timeout``; it goes on.
        """
        outcome = self._awaited(timeout)
        error = error_of(outcome, self._completion.name)
        if error is not None:
            raise error
        return output_of(outcome)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the error that ``result`` would raise; None for success.

        Args:
            timeout: Seconds; by default as long as it takes.

        Raises:
            CallTimeout: When the task has not ended after ``timeout``; it goes on.
        """
        return error_of(self._awaited(timeout), self._completion.name)

    def cancel(self) -> bool:
        """Remove the task if it waits, interrupt it if it runs. False when it had already ended."""
        return self._engine.cancel(self._completion) is CancelResult.CANCELLED

    def cancelled(self) -> bool:
        """Has it been cancelled?"""
        outcome = self._completion.outcome
        return outcome is not None and outcome.state is TaskState.CANCELLED

    def running(self) -> bool:
        """Does a worker run the task?"""
        return self._completion.state is TaskState.RUNNING

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[bytes | None]], Any]) -> None:
        """Have ``fn(self)`` called when the task has ended: at once if it has, else in a thread of its own.

        Args:
            fn: May block.
        """

        # not in the thread that ends tasks, as executors do: there a callback that waits would stop every other task

        def call_elsewhere(future: concurrent.futures.Future[bytes | None]) -> None:
            threading.Thread(target=fn, args=(future,), name="flame-callback", daemon=True).start()

        super().add_done_callback(fn if self.done() else call_elsewhere)

    def _awaited(self, timeout_s: float | None) -> Outcome:
        completion = self._completion
        if not completion.wait(timeout_s):
            raise CallTimeout(
                f"task {completion.task_id} of session {completion.session_id} is not done after {timeout_s} s: "
                "wait longer, or cancel() it."
            )
        assert completion.outcome is not None
        return completion.outcome

    def _wake(self) -> None:
        self.set_result(None)
