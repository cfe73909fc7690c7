# SPDX-License-Identifier: Apache-2.0
"""Tasks: one call in a session. States are a table; records are frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from flamepy.core.session import Event


class TaskState(IntEnum):
    """How far a task is.

    Attributes:
        PENDING: It waits for its arguments, or for a worker.
        RUNNING: A worker runs it.
        SUCCEED: It gave a value.
        FAILED: It ended with an error.
        CANCELLED: It was cancelled.
    """

    PENDING = 0
    RUNNING = 1
    SUCCEED = 2
    FAILED = 3
    CANCELLED = 4

    def is_terminal(self) -> bool:
        """Is it a state that no other follows?"""
        return self >= TaskState.SUCCEED


@dataclass(frozen=True)
class Task:
    """A snapshot of a task, as clients see it.

    Attributes:
        id: What it is found by, within its session.
        session_id: Of its session.
        state: How far it is.
        creation_time: When it was made.
        input: What it was given.
        output: What it gave; None until then.
        completion_time: When it ended; None until then.
        events: The states that it entered, with times, and the words of its error.
    """

    id: str
    session_id: str
    state: TaskState
    creation_time: datetime
    input: bytes | None = None
    output: bytes | None = None
    completion_time: datetime | None = None
    events: tuple[Event, ...] = ()

    def is_completed(self) -> bool:
        """Did it run to its end, with a value or an error?"""
        return self.state in (TaskState.SUCCEED, TaskState.FAILED)

    def is_failed(self) -> bool:
        """Did it end with an error?"""
        return self.state is TaskState.FAILED
