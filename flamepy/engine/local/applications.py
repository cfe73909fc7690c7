# SPDX-License-Identifier: Apache-2.0
"""The applications of the embedded engine as callers hold them: unpacked for workers, leased, and removed again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial

from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectKey
from flamepy.engine.local.apps.installer import Installer
from flamepy.engine.local.apps.registry import Installed, Registry
from flamepy.engine.local.core import Core
from flamepy.errors import InvalidState

logger = logging.getLogger(__name__)


class LocalApplications:
    """Implements ``engine.api.Applications``. directory: where packages are unpacked."""

    def __init__(self, core: Core, directory: str) -> None:
        self._core = core
        self._registry = Registry()
        self._installer = Installer(directory, self._unpack_behind)
        self._installing = threading.Lock()  # one change of the applications at a time

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        self._core.check()
        self._fetch(name, attributes)
        with self._installing:
            return self._register(name, attributes)

    def _fetch(self, name: str, attributes: ApplicationAttributes | None) -> None:
        """What takes long may not hold up those who change other applications meanwhile."""
        if attributes is not None and attributes.url is not None and self._registry.find(name) is None:
            self._installer.fetch(attributes.url)

    def _register(self, name: str, attributes: ApplicationAttributes) -> Application:
        self._registry.check_free(name)
        root = self._installer.install(attributes.url, name)
        try:
            archive = None if attributes.url is None else self._installer.archive_at(attributes.url)
            return self._registry.add(name, attributes, root, archive)
        except BaseException:
            self._remove([root])
            raise

    def adopt(self, name: str, attributes: ApplicationAttributes, root: str) -> Application:
        """Register an application whose files somebody else has unpacked at ``root``, and will remove."""
        with self._installing:
            return self._registry.add(name, attributes, root)

    def _unpack_behind(self, archive: str, root: str, name: str) -> None:
        self._core.loop.post(lambda: self._core.loop.pool.unpack(archive, root, name))

    def _remove(self, directories: Sequence[str]) -> None:
        self._core.loop.post(lambda: self._core.loop.pool.remove_directories(directories))

    def unregister(self, name: str) -> None:
        self._core.check()
        with self._installing:
            self._unregister(self._registry.get(name))

    def _unregister(self, installed: Installed) -> None:
        is_quiet = self._core.loop.ask(lambda: self._core.loop.dispatcher.uninstall(installed))
        self._registry.remove(installed.name)
        if installed.root is not None:
            superfluous = self._installer.give_back(installed.root) if is_quiet else [installed.root]
            self._remove(superfluous)

    def lease(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        self._core.check()
        self._fetch(name, attributes)
        with self._installing:
            if attributes is not None and (must_be_new or self._registry.find(name) is None):
                application = self._register(name, attributes)
                self._registry.lease(lease_id, name, is_registered_by_it=True)
            else:
                application = self._registry.get(name).application
                self._registry.lease(lease_id, name, is_registered_by_it=False)
        return application

    def end_lease(self, lease_id: str) -> bool:
        self._core.check()
        with self._installing:
            name = self._registry.end_lease(lease_id)
            if name is None:
                return False
            self._core.loop.ask(lambda: self._core.loop.dispatcher.end_lease(lease_id))
            return self.remove_if_left(name)

    def remove_if_left(self, name: str) -> bool:
        """Take the application away when its last lease has ended, unless others than Runners have sessions on it."""
        if not self._registry.is_left(name):
            return False
        installed = self._registry.get(name)
        self._core.loop.ask(lambda: self._core.loop.dispatcher.close_left(installed))
        try:
            self._unregister(installed)
        except InvalidState as error:
            logger.debug("application kept name=%s reason=%s", name, error)
            return False
        self._core.objects.delete(ObjectKey.for_all_sessions(name).to_prefix())
        for lease_id in self._registry.left_behind(name):
            left = self._registry.end_lease(lease_id)
            if left is not None:
                self._core.loop.ask(partial(self._core.loop.dispatcher.end_lease, lease_id))
                self.remove_if_left(left)
        return True

    def end_leases_of(self, worker_id: int, pid: int, leases: Sequence[str]) -> None:
        """For the uplink: the process that had these leases has ended."""
        installed = self._core.loop.ask(lambda: self._core.loop.pool.retired(worker_id, pid))
        if installed is not None:  # its end was not asked for: what its calls left open was meant to be open
            with self._installing:
                self._registry.leave_behind(installed.name, leases)
                self.remove_if_left(installed.name)
            return
        for lease_id in leases:
            self.end_lease(lease_id)

    def get(self, name: str) -> Application | None:
        self._core.check()
        installed = self._registry.find(name)
        return None if installed is None else installed.application

    def list(self) -> Sequence[Application]:
        self._core.check()
        return self._registry.all()

    def installed(self, name: str) -> Installed:
        """For sessions: what runs their calls. Raises NotFound."""
        return self._registry.get(name)

    def session_closed(self, name: str) -> None:
        """A session that no Runner opened may have been the last reason to keep its application."""
        if self._registry.is_left(name):
            with self._installing:
                self.remove_if_left(name)
