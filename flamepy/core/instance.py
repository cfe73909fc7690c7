# SPDX-License-Identifier: Apache-2.0
"""What a service is told about the application, session and task that it runs for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ApplicationContext:
    name: str
    image: str | None = None
    command: str | None = None
    working_directory: str | None = None
    url: str | None = None


@dataclass(frozen=True)
class SessionContext:
    session_id: str
    application: ApplicationContext
    data: bytes | None = None

    def common_data(self) -> bytes | None:
        return self.data


@dataclass(frozen=True)
class TaskContext:
    task_id: str
    session_id: str
    input: bytes | None = None
