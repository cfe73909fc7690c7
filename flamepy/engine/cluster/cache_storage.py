# SPDX-License-Identifier: Apache-2.0
"""Packages in the cluster's own object cache, where no other storage is configured."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flamepy.cache.flight.client import FlightClient
from flamepy.cache.flight.connecting import location_of
from flamepy.errors import InvalidArgument

_SESSION = "pkg"  # where 0.6 keeps packages
PACKAGE_SCHEMES = ("grpc", "grpcs")


class CacheStorage:
    """Implements ``packaging.storage.Storage``. connected: gives the client, which is made when it is needed."""

    directory: Path | None = None
    knows_users = False

    def __init__(self, connected: Callable[[], FlightClient]) -> None:
        self._connected = connected

    def is_at(self, url: str) -> bool:
        """Does a configuration mean this cache?"""
        return urlsplit(url).scheme in PACKAGE_SCHEMES and location_of(url) == location_of(self._connected().endpoint)

    @classmethod
    def at(cls, url: str) -> CacheStorage:
        return cls(lambda: FlightClient(url))

    @classmethod
    def fetch(cls, url: str, into: Path) -> Path:  # noqa: ARG003  # nodes do that
        raise InvalidArgument(f"the embedded engine cannot fetch a package from {url!r}: use file:// or https://.")

    def __str__(self) -> str:
        return self._connected().endpoint

    def find(self, name: str) -> str | None:
        return self._url_of(name) if self._connected().has(_key(name)) else None

    def upload(self, archive: Path, name: str, on_sent: Callable[[int], object] | None = None) -> str:
        if self.find(name) is None:
            with (
                open(archive, "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as content,
            ):
                self._connected().put(_key(name), [content])
                if on_sent is not None:
                    on_sent(len(content))
        return self._url_of(name)

    def delete(self, url: str, *, is_last: bool = True) -> None:
        """With its application: others may have registered the same package."""

    def _url_of(self, name: str) -> str:
        parts = urlsplit(self._connected().endpoint)
        scheme = "grpcs" if parts.scheme in ("grpcs", "https", "grpc+tls") else "grpc"
        return f"{scheme}://{parts.netloc}/{_key(name)}"


def _key(name: str) -> str:
    return f"{name.rpartition('-')[0]}/{_SESSION}/{name}"
