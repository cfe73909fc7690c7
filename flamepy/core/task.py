# SPDX-License-Identifier: Apache-2.0
"""Tasks: one call in a session. States are a table; records are frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from flamepy.core.session import Event


class TaskState(IntEnum):
    PENDING = 0
    RUNNING = 1
    SUCCEED = 2
    FAILED = 3
    CANCELLED = 4

    def is_terminal(self) -> bool:
        return self >= TaskState.SUCCEED


@dataclass(frozen=True)
class Task:
    """A snapshot of a task, as clients see it."""

    id: str
    session_id: str
    state: TaskState
    creation_time: datetime
    input: bytes | None = None
    output: bytes | None = None
    completion_time: datetime | None = None
    events: tuple[Event, ...] = ()

    def is_completed(self) -> bool:
        return self.state in (TaskState.SUCCEED, TaskState.FAILED)

    def is_failed(self) -> bool:
        return self.state is TaskState.FAILED
