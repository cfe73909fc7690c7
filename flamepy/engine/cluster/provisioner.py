# SPDX-License-Identifier: Apache-2.0
"""How a project reaches the workers of a cluster: in a package that brings our own worker along."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from flamepy.core.application import ApplicationAttributes
from flamepy.engine.cluster.cache_storage import CacheStorage
from flamepy.errors import InvalidArgument
from flamepy.packaging.runtime import RUNTIME_DIRECTORY

if TYPE_CHECKING:
    from flamepy.packaging import PackageOptions, Packager, Storage

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHON_VARIABLE = "FLAME_PYTHON_VERSION"


class ClusterProvisioner:
    """Implements ``engine.api.Provisioner``."""

    def __init__(self, storage: CacheStorage) -> None:
        self.storage: Storage | None = storage

    def check(self, dependencies: Sequence[str] | None, python_version: str | None) -> None:
        if dependencies:
            raise InvalidArgument(
                "dependencies= cannot be installed on a cluster yet: have them in the cluster's site-packages, or put "
                "their files into the project."
            )
        if python_version is not None and python_version.removeprefix("python") != _VERSION:
            raise InvalidArgument(
                f"python_version={python_version!r} is not the {_VERSION} of this program: functions travel by value, "
                f"which another Python cannot run. Leave it out, or start this program with Python {python_version}."
            )

    def options(self, excludes: Iterable[str], includes: Iterable[str]) -> PackageOptions:
        from flamepy.packaging import PackageOptions

        return PackageOptions.for_cluster(excludes, includes)

    @functools.cached_property
    def packager(self) -> Packager:
        from flamepy.packaging import Packager

        return Packager()

    def close(self) -> None:
        if "packager" in self.__dict__:
            self.packager.close()

    def launched(self, attributes: ApplicationAttributes) -> ApplicationAttributes:
        """Started by our own command, in whatever way the template starts its workers."""
        environments = {_PYTHON_VARIABLE: _VERSION, **(attributes.environments or {})}
        return replace(
            attributes,
            command="/bin/sh",
            arguments=[f"${{FLAME_APP_DIR}}/{RUNTIME_DIRECTORY}/flamepy/instance/launch.sh"],
            installer="binary",
            environments=environments,
        )
