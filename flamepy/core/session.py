# SPDX-License-Identifier: Apache-2.0
"""Sessions: one service of an application, open until it is closed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from flamepy.core.resources import ResourceRequirement


class SessionState(IntEnum):
    """Does a session take tasks?

    Attributes:
        OPEN: It does.
        CLOSED: It does not, and never will again.
    """

    OPEN = 0
    CLOSED = 1


@dataclass(frozen=True)
class Event:
    """Something that happened to a task or a session.

    Attributes:
        code: Of a task, the ``TaskState`` that it entered.
        message: For people; None = the code says all.
        creation_time: When it happened; None = not known.
    """

    code: int
    message: str | None = None
    creation_time: datetime | None = None


@dataclass(frozen=True)
class SessionAttributes:
    """What a caller wants of a session.

    Attributes:
        application: Its name.
        id: Of the session; None = one is made up.
        common_data: What all of its tasks share; for ``flmrun`` a pickled ``RunnerContext``.
        min_instances: Workers to keep for it on a cluster.
        max_instances: Workers that it may have at one time; None = no limit of its own.
        batch_size: How many tasks start together on a cluster.
        resreq: What one worker needs on a cluster; None = nothing in particular.
    """

    application: str
    id: str | None = None
    common_data: bytes | None = None
    min_instances: int = 0
    max_instances: int | None = None
    batch_size: int = 1
    resreq: ResourceRequirement | None = None


@dataclass(frozen=True)
class SessionView:
    """A snapshot of a session.

    Attributes:
        id: What it is found by.
        application: The name of its application.
        state: Does it take tasks?
        creation_time: When it was opened.
        completion_time: When it was closed; None = it is open.
        pending: How many tasks wait.
        running: How many run.
        succeed: How many gave a value.
        failed: How many ended with an error.
        cancelled: How many were cancelled.
        events: What happened to it.
        name: For people; "" = it is no service.
        handle: As it was opened with, for the code that makes a handle of it.
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
