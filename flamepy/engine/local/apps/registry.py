# SPDX-License-Identifier: Apache-2.0
"""Applications of the embedded engine: registered under a name, unpacked for workers, and leased by Runners."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone

from flamepy.core.application import Application, ApplicationAttributes, ApplicationState
from flamepy.core.names import checked_application_name
from flamepy.errors import AlreadyExists, NotFound

RUNNER_TEMPLATE = ApplicationAttributes(
    description="Runs Python functions and objects for a Runner.",
    command="python",
    arguments=["-m", "flamepy.worker"],
    installer="python",
)
BUILT_IN = {"flmrun": RUNNER_TEMPLATE}  # what 0.6 programs look for


@dataclass(frozen=True, eq=False)
class Installed:
    """An application and the directory that its workers run in, None when it has no package.

    archive: the file of this machine that is unpacked there, None when there is none.
    environ: what its author wants in the environment of its workers.
    """

    application: Application
    root: str | None
    archive: str | None = None
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.application.name


class Registry:
    """Names to installed applications. Each method is one short step under a lock; installing happens before."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._installed = {
            name: Installed(_application(name, attributes), None) for name, attributes in BUILT_IN.items()
        }
        self._leases: dict[str, str] = {}  # lease -> application
        self._by_lease: set[str] = set()  # applications that stay as long as there is a lease of them
        self._left_behind: dict[str, list[str]] = {}  # application -> leases that its workers had when they retired

    def check_free(self, name: str) -> None:
        """Raises InvalidArgument, AlreadyExists."""
        if checked_application_name(name) in self._installed:
            raise AlreadyExists(f"application {name!r} already exists: use another name, or unregister it first.")

    def add(
        self, name: str, attributes: ApplicationAttributes, root: str | None, archive: str | None = None
    ) -> Application:
        """Raises InvalidArgument, AlreadyExists."""
        application = _application(name, attributes)
        with self._lock:
            self.check_free(name)
            self._installed[name] = Installed(application, root, archive, dict(attributes.environments or {}))
        return application

    def find(self, name: str) -> Installed | None:
        return self._installed.get(name)

    def get(self, name: str) -> Installed:
        """Raises NotFound."""
        installed = self._installed.get(name)
        if installed is None:
            known = ", ".join(sorted(self._installed))
            raise NotFound(
                f"application {name!r} not found: there are {known}. Register it, or open a Runner({name!r})."
            )
        return installed

    def remove(self, name: str) -> Installed:
        """Raises NotFound."""
        with self._lock:
            installed = self.get(name)
            del self._installed[name]
            self._by_lease.discard(name)
            self._leases = {lease: leased for lease, leased in self._leases.items() if leased != name}
        return installed

    def lease(self, lease_id: str, name: str, *, is_registered_by_it: bool) -> None:
        """Note that this lease uses the application."""
        with self._lock:
            self._leases[lease_id] = name
            if is_registered_by_it:
                self._by_lease.add(name)

    def end_lease(self, lease_id: str) -> str | None:
        """The application that it was of; None when it is unknown."""
        with self._lock:
            return self._leases.pop(lease_id, None)

    def is_left(self, name: str) -> bool:
        """Has the last lease of an application ended that a lease registered?"""
        with self._lock:
            return name in self._by_lease and name not in self._leases.values()

    def leave_behind(self, application: str, leases: Sequence[str]) -> None:
        """A worker of the application has retired: what its calls opened, and did not close, goes on until
        the application goes, because they may have returned handles of it.
        """
        with self._lock:
            for lease_id in leases:
                if self._leases.get(lease_id) == application:
                    del self._leases[lease_id]  # an application does not keep itself
                else:
                    self._left_behind.setdefault(application, []).append(lease_id)

    def left_behind(self, application: str) -> list[str]:
        """The application has gone: the leases that go with it."""
        with self._lock:
            return self._left_behind.pop(application, [])

    def all(self) -> list[Application]:
        return [installed.application for installed in list(self._installed.values())]


def _application(name: str, attributes: ApplicationAttributes) -> Application:
    given = {f.name: getattr(attributes, f.name) for f in fields(attributes) if getattr(attributes, f.name) is not None}
    return Application(
        id=name, name=name, state=ApplicationState.ENABLED, creation_time=datetime.now(timezone.utc), **given
    )
