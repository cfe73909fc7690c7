# SPDX-License-Identifier: Apache-2.0
"""What a stream needs of its service: to send calls, and to have a session of its own."""

from __future__ import annotations

from typing import Protocol

from flamepy.engine.api import Call, Engine
from flamepy.engine.completion import Completion


class CallPort(Protocol):
    """The part of ``ServiceLink`` that streams use."""

    engine: Engine
    session_id: str
    stream_sessions: set[str]

    def check_open(self, name: str) -> None:
        """Raises RunnerClosed."""
        ...

    def submit(self, session_id: str, call: Call) -> Completion:
        """Raises RunnerClosed."""
        ...
