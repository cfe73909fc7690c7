# SPDX-License-Identifier: Apache-2.0
"""The services of one worker, by session: made from their definition with the first call, dropped on request.

The engine sends a definition once. It is kept until the service has been made of it: a constructor that raises, or
is interrupted, runs again with the next call.
"""

from __future__ import annotations

from flamepy.cache.blob import Blob
from flamepy.errors import InvalidState
from flamepy.protocol.calls import CallFrame
from flamepy.worker.services.service import Service, load_service


class Services:
    """Used by the worker's main thread only."""

    def __init__(self) -> None:
        self._made: dict[int, Service] = {}
        self._definitions: dict[int, tuple[Blob, Blob | None]] = {}

    def __contains__(self, session_number: int) -> bool:
        """Is there all that a call of this session needs?"""
        return session_number in self._made or session_number in self._definitions

    def take_definition(self, call: CallFrame) -> None:
        """Keep what came with the first call, also when that call is cancelled before it has begun."""
        if call.definition is not None:
            self._definitions[call.session_number] = (call.definition, call.checkpoint)

    def of(self, call: CallFrame) -> Service:
        """The service that ``call`` is for. Raises what its definition or constructor raises."""
        number = call.session_number
        service = self._made.get(number)
        if service is None:
            if number not in self._definitions:
                raise InvalidState("the engine did not send what this session runs: create the service again.")
            definition, checkpoint = self._definitions[number]
            service = load_service(definition.payload(), None if checkpoint is None else checkpoint.payload())
            self._made[number] = service
        self._definitions.pop(number, None)
        return service

    def forget(self, session_number: int) -> None:
        """The session is closed."""
        self._made.pop(session_number, None)
        self._definitions.pop(session_number, None)
