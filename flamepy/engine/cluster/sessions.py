# SPDX-License-Identifier: Apache-2.0
"""The services of this process on a cluster. Their pools of executors are sessions there (pools.py)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from flamepy.codec.payload import Payload
from flamepy.core.application import Application
from flamepy.core.session import SessionState, SessionView
from flamepy.engine.api import SessionSpec
from flamepy.engine.cluster.calls.dispatcher import ClusterCall, Dispatcher
from flamepy.engine.cluster.calls.values import Objects, parcel_of
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.completion import Completion
from flamepy.engine.held_sessions import PlainSessions, cancelled
from flamepy.errors import FlameError


class ClusterSessions(PlainSessions):
    """Implements ``engine.api.Sessions``: those that this process has opened. find: looks for an application."""

    def __init__(
        self,
        connection: Connection,
        dispatcher: Dispatcher,
        objects: Objects,
        make: Callable[[str, str, str], Completion],
        find: Callable[[str], Application | None],
    ) -> None:
        super().__init__(make)
        self._find = find
        self._connection = connection
        self._dispatcher = dispatcher
        self._objects = objects
        self.calls: dict[Completion, ClusterCall] = {}

    def create(self, session_id: str, spec: SessionSpec) -> SessionView:
        found = self._find(spec.application)
        if found is not None:
            self.applications[spec.application] = found
        view = super().create(session_id, spec)
        payload = spec.definition if spec.definition is not None else Payload(spec.common_data or b"")
        try:
            definition = parcel_of(payload, f"{spec.application}/{session_id}", self._objects)
        except BaseException:
            del self.records[session_id]
            raise
        plain = replace(spec, definition=None)
        self._connection.post(lambda: self._dispatcher.open(session_id, plain, definition))
        return view

    def forget(self, completion: Completion) -> None:
        """The call has ended: whoever wants its result has the completion."""
        self.calls.pop(completion, None)
        session = self.records.get(completion.session_id)
        if session is not None:
            session.forget(completion.task_id)

    def close(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        return self._connection.ask(self._close(session_id, cancel=cancel, lease=lease))

    async def _close(self, session_id: str, *, cancel: bool, lease: str) -> SessionView:
        session = self.record(session_id)
        session.leases.discard(lease)
        if (lease and session.leases) or session.state is SessionState.CLOSED:
            return session.view()
        session.mark_closed()
        for each in session.unfinished():
            call = self.calls[each.completion]
            if not call.is_sent():
                self._dispatcher.finish(call, cancelled(each.completion.name, "its service was closed before it ran."))
            elif cancel:
                with contextlib.suppress(FlameError):  # the cache does not answer: it ends by itself
                    await self._dispatcher.cancel(call)
        await self._dispatcher.close(session_id)
        return session.view()
