# SPDX-License-Identifier: Apache-2.0
"""Packages in the cluster's own object cache, where no other storage is configured."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from flamepy.cache.flight.client import FlightClient
from flamepy.errors import InvalidArgument

_SESSION = "pkg"  # where 0.6 keeps packages


class CacheStorage:
    """Implements ``packaging.storage.Storage``. connected: gives the client, which is made when it is needed."""

    directory: Path | None = None

    def __init__(self, connected: Callable[[], FlightClient]) -> None:
        self._connected = connected

    @classmethod
    def at(cls, url: str) -> CacheStorage:
        return cls(lambda: FlightClient(url))

    @staticmethod
    def local(url: str) -> Path:
        raise InvalidArgument(f"the embedded engine cannot fetch a package from {url!r}: use file://.")

    def upload(self, archive: Path, name: str) -> str:
        client = self._connected()
        key = _key(name)
        parts = urlsplit(client.endpoint)
        scheme = "grpcs" if parts.scheme in ("grpcs", "https", "grpc+tls") else "grpc"
        if not self.exists(name):
            with (
                open(archive, "rb") as file,
                mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
                memoryview(mapped) as content,
            ):
                client.put(key, [content])
        return f"{scheme}://{parts.netloc}/{key}"

    def exists(self, name: str) -> bool:
        return self._connected().has(_key(name))

    def delete(self, url: str) -> None:
        """With its application: others may have registered the same package."""


def _key(name: str) -> str:
    return f"{name.rpartition('-')[0]}/{_SESSION}/{name}"
