# SPDX-License-Identifier: Apache-2.0
"""A command of another thread that waits for the answer of the event loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from flamepy.errors import FlameError, as_fault

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """A command whose answer a thread waits for. An exception in it is that thread's, and its alone."""

    __slots__ = ("_answers", "_command", "_errors", "_is_open")

    def __init__(self, command: Callable[[], Answer]) -> None:
        self._command = command
        self._answers: list[Answer] = []
        self._errors: list[FlameError] = []
        self._is_open = threading.Lock()
        self._is_open.acquire()

    def __call__(self) -> None:
        self._answers.append(self._command())
        self._is_open.release()

    def fail(self, error: Exception) -> None:
        if not self.is_answered:
            self._errors.append(as_fault(error))
            self._is_open.release()

    @property
    def is_answered(self) -> bool:
        return bool(self._answers or self._errors)

    def wait(self, timeout_s: float) -> None:
        self._is_open.acquire(timeout=timeout_s)

    def answer(self) -> Answer:
        if self._errors:
            raise self._errors[0]
        return self._answers[0]
