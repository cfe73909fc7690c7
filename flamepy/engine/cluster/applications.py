# SPDX-License-Identifier: Apache-2.0
"""The applications of a cluster, and who of this process uses them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectKey
from flamepy.core.names import checked_application_name
from flamepy.engine.cluster.cache_storage import PACKAGE_SCHEMES
from flamepy.engine.cluster.connection import PATIENCE_S, Connection
from flamepy.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound
from flamepy.wire import messages
from flamepy.wire.applications import application_of, specification

logger = logging.getLogger(__name__)

_LEAVE_S = 3.0  # a Runner that closes waits no longer for a cluster that does not answer


class ClusterApplications:
    """Implements ``engine.api.Applications``.

    end_sessions: ends those that a lease alone is on. forget: drops the objects below a prefix.
    """

    def __init__(
        self, connection: Connection, end_sessions: Callable[[str], object], forget: Callable[[str], object]
    ) -> None:
        self._connection = connection
        self._end_sessions = end_sessions
        self._forget = forget
        self._lock = threading.Lock()
        self._leases: dict[str, str] = {}
        self._by_lease: set[str] = set()

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        checked_application_name(name)
        request = messages.RegisterApplicationRequest(name=name, application=specification(attributes))
        result = self._connection.ask(self._connection.call("RegisterApplication", request, is_repeatable=False))
        _check(result, name)
        found = self.get(name)
        if found is None:
            raise NotFound(
                f"application {name!r} was registered, and is gone again: somebody has removed it. Try again."
            )
        return found

    def unregister(self, name: str) -> None:
        self._unregister(name, PATIENCE_S)

    def _unregister(self, name: str, patience_s: float) -> None:
        if self._get(name, patience_s) is None:
            raise NotFound(f"application {name!r} not found: list_applications() shows those that are there.")
        request = messages.UnregisterApplicationRequest(name=name)
        call = self._connection.call("UnregisterApplication", request, patience_s=patience_s)
        _check(self._connection.ask(call), name)

    def lease(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        with self._lock:
            application = None if must_be_new else self.get(name)
            if application is None:
                if attributes is None:
                    raise NotFound(f"application {name!r} not found: register it, or open a Runner({name!r}).")
                try:
                    application = self.register(name, attributes)
                except AlreadyExists:
                    application = self.get(name)  # another process was faster
                    if must_be_new or application is None:
                        raise
                else:
                    self._by_lease.add(name)
            self._leases[lease_id] = name
            return application

    def end_lease(self, lease_id: str) -> bool:
        with self._lock:
            name = self._leases.pop(lease_id, None)
            if name is None:
                return False
            self._end_sessions(lease_id)
            if name not in self._by_lease or name in self._leases.values():
                return False
            self._by_lease.discard(name)
            try:
                application = self._get(name, _LEAVE_S)
                self._unregister(name, _LEAVE_S)
            except NotFound:
                return False
            except InvalidState as error:  # other programs have sessions on it: theirs to remove
                logger.debug("application kept name=%s reason=%s", name, error)
                return False
            assert application is not None, "else it could not be unregistered"
            self._forget_objects(application)
            return True

    def _forget_objects(self, gone: Application) -> None:
        """Those of its sessions, and its package: it lies below the name that Runners of several contents share."""
        left = self._list(_LEAVE_S)
        in_use = {each.name for each in left} | {_home_of_package(each) for each in left}
        for home in {gone.name, _home_of_package(gone)} - in_use - {""}:
            self._forget(ObjectKey.for_all_sessions(home).to_prefix())

    def get(self, name: str) -> Application | None:
        return self._get(name, PATIENCE_S)

    def _get(self, name: str, patience_s: float) -> Application | None:
        request = messages.GetApplicationRequest(name=name)
        try:
            call = self._connection.call("GetApplication", request, patience_s=patience_s)
            return application_of(self._connection.ask(call))
        except NotFound:
            return None

    def list(self) -> Sequence[Application]:
        return self._list(PATIENCE_S)

    def _list(self, patience_s: float) -> Sequence[Application]:
        call = self._connection.call("ListApplication", messages.ListApplicationRequest(), patience_s=patience_s)
        reply = self._connection.ask(call)
        return [application_of(each) for each in reply.applications]


def _home_of_package(application: Application) -> str:
    """Below which name of the object cache its package is; "" = in another storage."""
    parts = urlsplit(application.url or "")
    return parts.path.lstrip("/").partition("/")[0] if parts.scheme in PACKAGE_SCHEMES else ""


def _check(result: messages.Result, name: str) -> None:
    """Raises what a refusal, which comes as an answer, means."""
    if result.return_code == 0:
        return
    text = result.message
    if "already exists" in text or "UNIQUE" in text:
        raise AlreadyExists(f"application {name!r} already exists: use another name, or unregister it first.")
    if "open sessions" in text:
        raise InvalidState(f"application {name!r} has open sessions: close them first.")
    raise InvalidArgument(f"the cluster refuses application {name!r}: {text}")
