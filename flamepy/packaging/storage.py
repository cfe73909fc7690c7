# SPDX-License-Identifier: Apache-2.0
"""Where packages are kept for workers to fetch. A name stands for a content, so what exists is not sent again."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from flamepy.errors import InvalidArgument, InvalidConfig
from flamepy.packaging.file_storage import FileStorage


class Storage(Protocol):
    """A place for archives. Safe from any thread, and from several machines at once.

    directory: where it keeps them when that is on this machine (a project must not pack its own packages), else None.
    Raises InvalidConfig when the place does not exist, PackageError when it cannot be used.
    """

    directory: Path | None

    @classmethod
    def at(cls, url: str) -> Storage:
        """The storage that a configuration names; does not touch the place yet. Raises InvalidConfig."""
        ...

    @staticmethod
    def local(url: str) -> Path:
        """The archive at a url that ``upload`` returned, as a file of this machine. Raises PackageError."""
        ...

    def upload(self, archive: Path, name: str) -> str:
        """Keep ``archive`` under ``name``, unless that name is there already; returns the url for workers.

        It is in use from then on, until this object deletes it or the process ends.
        """
        ...

    def exists(self, name: str) -> bool: ...

    def delete(self, url: str) -> None:
        """Remove what ``upload`` returned ``url`` for, unless another process or object uses it, which then removes it.

        Unknown is fine; a url of another place is InvalidArgument.
        """
        ...


SCHEMES: dict[str, type[Storage]] = {"file": FileStorage}
"""A new kind of storage is a class and a row here."""


def open_storage(url: str, *, source: str = "") -> Storage:
    """The storage for ``package.storage`` of a configuration. Raises InvalidConfig; does not touch the place yet.

    source: the file of the configuration, for the message.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        close = difflib.get_close_matches(scheme, SCHEMES, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        where = f"{source}: " if source else ""
        raise InvalidConfig(
            f"{where}Unsupported storage scheme: {scheme or repr(url)}.{hint} "
            "Use a directory that the workers see too, as package.storage: file:///path/to/packages."
        )
    return SCHEMES[scheme].at(url)


def local_archive(url: str) -> Path:
    """The archive of an application as a file of this machine. Raises InvalidArgument, PackageError."""
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise InvalidArgument(
            f"the embedded engine cannot fetch a package from {url!r}: use one of {', '.join(SCHEMES)}."
        )
    return SCHEMES[scheme].local(url)
