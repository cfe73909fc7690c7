# SPDX-License-Identifier: Apache-2.0
"""Where packages are kept for workers to fetch. A name stands for a content, so what exists is not sent again."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from flamepy.core.shown import url_without_secrets
from flamepy.errors import InvalidArgument, InvalidConfig
from flamepy.packaging.storages.file_storage import FileStorage
from flamepy.packaging.storages.libraries import LIBRARIES, offers


class Storage(Protocol):
    """A place for archives. Safe from any thread, and from several machines at once. Its ``str`` has no secrets.

    directory: where it keeps them when that is on this machine (a project must not pack its own packages), else None.
    knows_users: whether it knows itself who uses an archive; if not, only the engine does, by its leases.
    Raises InvalidConfig when the place does not exist, PackageError when it cannot be used.
    """

    directory: Path | None
    knows_users: bool

    @classmethod
    def at(cls, url: str) -> Storage:
        """The storage that a configuration names; does not touch the place yet. Raises InvalidConfig."""
        ...

    @classmethod
    def fetch(cls, url: str, into: Path) -> Path:
        """The archive at a url that ``upload`` returned, as a file of this machine: in ``into`` if it lies elsewhere.

        What was fetched holds what the digest in its name says. Raises InvalidArgument (damaged), PackageError.
        """
        ...

    def find(self, name: str) -> str | None:
        """The url of an archive that is there already, and is in use from then on; None when there is none."""
        ...

    def upload(self, archive: Path, name: str, on_sent: Callable[[int], object] | None = None) -> str:
        """Keep ``archive`` under ``name``, unless that name is there already; returns the url for workers.

        It is in use from then on, until this object deletes it or the process ends. Readers see all of it or nothing,
        where the place can do that. on_sent: is told how many bytes have gone out over the network, again and again.
        """
        ...

    def delete(self, url: str, *, is_last: bool = True) -> None:
        """This object needs what lies at ``url`` no more: remove it, unless it is known that others use it.

        is_last: nobody else does, as far as the caller knows; a storage that knows its users asks them instead.
        Unknown is fine; a url of another place is InvalidArgument.
        """
        ...


def _http() -> type[Storage]:
    from flamepy.packaging.storages.http_storage import HttpStorage

    return HttpStorage


def _fsspec() -> type[Storage]:
    from flamepy.packaging.storages.fsspec_storage import FsspecStorage

    return FsspecStorage


SCHEMES: dict[str, Callable[[], type[Storage]]] = {
    "file": lambda: FileStorage,
    "http": _http,
    "https": _http,
    **dict.fromkeys(LIBRARIES, _fsspec),
}
"""A new kind of storage is a class and a row here. The class is loaded when a configuration names it."""


def open_storage(url: str, *, source: str = "") -> Storage:
    """The storage for ``package.storage`` of a configuration. Raises InvalidConfig; does not touch the place yet.

    source: the file of the configuration, for the message.
    """
    where = f"{source}: " if source else ""
    scheme = urlsplit(url).scheme
    kind = _kind_of(scheme)
    if kind is None:
        close = difflib.get_close_matches(scheme, SCHEMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise InvalidConfig(
            f"{where}Unsupported storage scheme: {scheme or repr(url_without_secrets(url))}.{hint} "
            "Use a directory that the workers see too, as package.storage: file:///path/to/packages, or a server: "
            "https://host/packages, s3://bucket/packages."
        )
    try:
        return kind.at(url)
    except InvalidConfig as error:
        raise InvalidConfig(f"{where}{error}") from error.__cause__


def fetch_archive(url: str, into: Path) -> Path:
    """The archive of an application as a file of this machine: itself, or a copy in ``into``, which is made if needed.

    Raises InvalidArgument (no such kind of url, damaged), InvalidConfig (a library is missing), PackageError.
    """
    scheme = urlsplit(url).scheme
    kind = _kind_of(scheme)
    if kind is None:
        raise InvalidArgument(
            f"the embedded engine cannot fetch a package from {url_without_secrets(url)!r}: "
            f"use one of {', '.join(SCHEMES)}."
        )
    return kind.fetch(url, into)


def _kind_of(scheme: str) -> type[Storage] | None:
    row = SCHEMES.get(scheme)
    if row is None and scheme and offers(scheme):
        row = _fsspec
    return None if row is None else row()
