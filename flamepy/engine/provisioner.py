# SPDX-License-Identifier: Apache-2.0
"""How a project reaches workers on this machine: they run this interpreter, and unpack what lies in a directory."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.core.application import ApplicationAttributes
from flamepy.engine.environment import check_environment

if TYPE_CHECKING:
    from flamepy.packaging import PackageOptions, Packager, Storage


class MachineProvisioner:
    """Implements ``engine.api.Provisioner``. directory: for packages of Runners without configured storage."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(exist_ok=True)
        self._directory = directory

    def check(self, dependencies: Sequence[str] | None, python_version: str | None) -> None:
        check_environment(dependencies, python_version)

    def options(self, excludes: Iterable[str], includes: Iterable[str]) -> PackageOptions:
        from flamepy.packaging import PackageOptions

        return PackageOptions.for_this_machine(excludes, includes)

    def storage(self, url: str | None, *, source: str = "") -> Storage | None:
        if url is None:
            return None
        from flamepy.packaging import open_storage

        return open_storage(url, source=source)

    def launched(self, attributes: ApplicationAttributes) -> ApplicationAttributes:
        return attributes

    @functools.cached_property
    def packager(self) -> Packager:
        from flamepy.packaging import Packager  # when it is needed: the workers' parent process starts meanwhile

        return Packager(self._directory)
