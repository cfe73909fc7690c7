# SPDX-License-Identifier: Apache-2.0
"""Sessions: one service of an application, open until it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from flamepy.core.resources import ResourceRequirement


class SessionState(IntEnum):
    OPEN = 0
    CLOSED = 1


@dataclass(frozen=True)
class Event:
    """Something that happened to a task or a session. For tasks ``code`` is the TaskState that it entered."""

    code: int
    message: str | None = None
    creation_time: datetime | None = None


@dataclass(frozen=True)
class SessionAttributes:
    """What a caller wants of a session. ``max_instances`` None = no limit of its own."""

    application: str
    id: str | None = None
    common_data: bytes | None = None
    min_instances: int = 0
    max_instances: int | None = None
    batch_size: int = 1
    resreq: ResourceRequirement | None = None


@dataclass(frozen=True)
class SessionView:
    """A snapshot of a session. Counters are numbers of tasks in that state.

    name: for people; "" = not a service. handle: as it was opened with, for who makes a handle of it.
    """

    id: str
    application: str
    state: SessionState
    creation_time: datetime
    completion_time: datetime | None = None
    pending: int = 0
    running: int = 0
    succeed: int = 0
    failed: int = 0
    cancelled: int = 0
    events: tuple[Event, ...] = ()
    name: str = ""
    handle: bytes = b""
