# SPDX-License-Identifier: Apache-2.0
"""Sessions on the cluster: each is a pool of executors, which the services of an application share."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from dataclasses import dataclass, field

from flamepy.core.names import short_name
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import SessionAttributes
from flamepy.engine.api import SessionSpec
from flamepy.engine.cluster.connection import Connection
from flamepy.errors import FlameError, InvalidState, NotFound
from flamepy.protocol.cluster.packets import ONE_PROCESS
from flamepy.wire import messages
from flamepy.wire.sessions import specification


@dataclass(frozen=True)
class PoolKey:
    """Services with the same key share executors. alone: the service that shares with none, "" = it does."""

    application: str
    resreq: ResourceRequirement | None
    min_instances: int
    max_instances: int | None
    alone: str = ""
    is_stateful: bool = False

    @classmethod
    def of(cls, session_id: str, spec: SessionSpec) -> PoolKey:
        """A stateful service has an executor of its own; one with limits keeps them for itself."""
        is_alone = spec.is_stateful or spec.max_instances is not None or bool(spec.min_instances)
        return cls(
            spec.application,
            spec.resreq,
            spec.min_instances,
            1 if spec.is_stateful else spec.max_instances,
            session_id if is_alone else "",
            spec.is_stateful,
        )


@dataclass
class Pool:
    """session_id: on the cluster, None = not opened yet. ready: services with calls that can go, in turn."""

    key: PoolKey
    session_id: str | None = None
    in_flight: int = 0
    used_s: float = 0.0  # when its last packet ended, by the monotonic clock
    ready: deque[str] = field(default_factory=deque)
    abandoned: list[str] = field(default_factory=list)
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def opened(self, connection: Connection) -> str:
        """The session's id on the cluster, opened if it is not. Raises FlameError."""
        async with self.opening:  # several packets ask at once
            if self.session_id is None:
                session_id = short_name(self.key.application)
                attributes = SessionAttributes(
                    application=self.key.application,
                    id=session_id,
                    min_instances=self.key.min_instances,
                    max_instances=self.key.max_instances,
                    resreq=self.key.resreq,
                    common_data=ONE_PROCESS if self.key.is_stateful else None,
                )
                # the id is ours alone: opening it twice gives the one session
                request = messages.OpenSessionRequest(session_id=session_id, session=specification(attributes))
                try:
                    await connection.call("OpenSession", request)
                except NotFound as error:
                    raise InvalidState(
                        f"the cluster does not know the application {self.key.application!r} any more: it was started "
                        "anew and kept nothing, or somebody has removed it. Open the Runner again."
                    ) from error
                self.session_id = session_id
            return self.session_id

    async def abandon(self, connection: Connection, session_id: str) -> None:
        """An executor is lost: the next packet goes into another session, and this one ends with its last packet."""
        if session_id == self.session_id:
            self.session_id = None
            self.abandoned.append(session_id)
        await self.close_abandoned(connection)

    async def close_abandoned(self, connection: Connection) -> None:
        for session_id in list(self.abandoned):
            with contextlib.suppress(FlameError):  # packets of it are still running
                await connection.call("CloseSession", messages.CloseSessionRequest(session_id=session_id), patience_s=0)
                if session_id in self.abandoned:  # another packet may have closed it meanwhile
                    self.abandoned.remove(session_id)

    async def close(self, connection: Connection) -> FlameError | None:
        """Give the executors back; returns why the cluster would not. The next packet has it opened anew."""
        await self.close_abandoned(connection)
        session_id, self.session_id = self.session_id, None
        if session_id is None:
            return None
        try:
            await connection.call("CloseSession", messages.CloseSessionRequest(session_id=session_id), patience_s=0)
        except FlameError as error:
            return error
        return None
