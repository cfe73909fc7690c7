# SPDX-License-Identifier: Apache-2.0
"""Applications in a dictionary: what the engines of this package share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime, timezone

from flamepy.core.application import Application, ApplicationAttributes, ApplicationState
from flamepy.core.names import checked_application_name
from flamepy.core.session import SessionState
from flamepy.engine.held_sessions import PlainSessions
from flamepy.errors import AlreadyExists, InvalidState, NotFound

_TEMPLATE = ApplicationAttributes(description="Runs Python functions and objects for a Runner.")


class PlainApplications:
    """Implements ``engine.api.Applications``. sessions: those of the engine; forget: drops the objects of one."""

    def __init__(self, sessions: PlainSessions, forget: Callable[[str], object]) -> None:
        self._sessions = sessions
        self._forget = forget
        self._registered: dict[str, Application] = {"flmrun": _application("flmrun", _TEMPLATE)}
        self._leases: dict[str, str] = {}
        self._by_lease: set[str] = set()
        sessions.applications = self._registered

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        if checked_application_name(name) in self._registered:
            raise AlreadyExists(f"application {name!r} already exists: use another name, or unregister it first.")
        self._registered[name] = _application(name, attributes)
        return self._registered[name]

    def unregister(self, name: str) -> None:
        self._get(name)
        mine = [each for each in self._sessions.records.values() if each.spec.application == name]
        if any(each.state is SessionState.OPEN for each in mine):
            raise InvalidState(f"application {name!r} has open sessions: close them first.")
        for each in mine:
            del self._sessions.records[each.id]
        del self._registered[name]

    def lease(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        if attributes is not None and (must_be_new or name not in self._registered):
            application = self.register(name, attributes)
            self._by_lease.add(name)
        else:
            application = self._get(name)
        self._leases[lease_id] = name
        return application

    def end_lease(self, lease_id: str) -> bool:
        name = self._leases.pop(lease_id, None)
        if name is None:
            return False
        for session in list(self._sessions.records.values()):
            if lease_id in session.leases:
                self._sessions.close(session.id, cancel=True, lease=lease_id)
        if name not in self._by_lease or name in self._leases.values():
            return False
        self._by_lease.discard(name)
        self.unregister(name)
        self._forget(f"{name}/*")
        return True

    def get(self, name: str) -> Application | None:
        return self._registered.get(name)

    def list(self) -> Sequence[Application]:
        return list(self._registered.values())

    def _get(self, name: str) -> Application:
        if name not in self._registered:
            raise NotFound(f"application {name!r} not found: register it, or open a Runner({name!r}).")
        return self._registered[name]


def _application(name: str, attributes: ApplicationAttributes) -> Application:
    given = {f.name: getattr(attributes, f.name) for f in fields(attributes) if getattr(attributes, f.name) is not None}
    return Application(
        id=name, name=name, state=ApplicationState.ENABLED, creation_time=datetime.now(timezone.utc), **given
    )
