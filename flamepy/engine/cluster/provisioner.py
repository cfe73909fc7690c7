# SPDX-License-Identifier: Apache-2.0
"""How a project reaches the workers of a cluster: in a package that brings our own worker along."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flamepy.core.application import ApplicationAttributes
from flamepy.core.shown import url_without_secrets
from flamepy.engine.cluster.cache_storage import CacheStorage
from flamepy.errors import InvalidArgument, InvalidConfig
from flamepy.packaging.runtime import RUNTIME_DIRECTORY

if TYPE_CHECKING:
    from flamepy.packaging import PackageOptions, Packager, Storage

_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
_PYTHON_VARIABLE = "FLAME_PYTHON_VERSION"
_FETCHED_BY_NODES = ("file", "http", "https")  # and from object caches; each node does it, before our code is there


class ClusterProvisioner:
    """Implements ``engine.api.Provisioner``. cache: where packages go for which nothing else is configured."""

    def __init__(self, cache: CacheStorage) -> None:
        self._cache = cache

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

    def storage(self, url: str | None, *, source: str = "") -> Storage | None:
        if url is None or self._cache.is_at(url):
            return self._cache
        parts = urlsplit(url)
        told = f"{source}: package.storage" if source else "package.storage"
        told = f"{told} {url_without_secrets(url)} cannot be used with a cluster"
        if parts.scheme not in _FETCHED_BY_NODES:
            raise InvalidConfig(
                f"{told}, whose nodes fetch packages over {', '.join(_FETCHED_BY_NODES)} or from its own object cache "
                f"({self._cache}): leave it out, which is to use that cache, or write https://host/packages."
            )
        if "@" in parts.netloc:  # applications with their urls are listed for anyone
            raise InvalidConfig(
                f"{told}, which would show the user in it to all clients: name the user in ~/.netrc, and let nodes "
                "read packages without one."
            )
        from flamepy.packaging import open_storage

        return open_storage(url, source=source)

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
