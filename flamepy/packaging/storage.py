# SPDX-License-Identifier: Apache-2.0
"""Where packages are kept for workers to fetch. A name stands for a content, so what exists is not sent again."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from flamepy.cache.descriptors import NO_DESCRIPTORS
from flamepy.errors import FlameError, InvalidArgument, InvalidConfig, PackageError
from flamepy.packaging.limits import format_bytes

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


class Storage(Protocol):
    """A place for archives. Safe from any thread, and from several machines at once.

    directory: where it keeps them when that is on this machine (a project must not pack its own packages), else None.
    Raises InvalidConfig when the place does not exist, PackageError when it cannot be used.
    """

    directory: Path | None

    def upload(self, archive: Path, name: str) -> str:
        """Keep ``archive`` under ``name``, unless that name is there already; returns the url for workers."""
        ...

    def exists(self, name: str) -> bool: ...

    def delete(self, url: str) -> None:
        """Remove what ``upload`` returned ``url`` for. Unknown is fine; a url of another place is InvalidArgument."""
        ...


def open_storage(url: str) -> Storage:
    """The storage for ``package.storage`` of a configuration. Raises InvalidConfig; does not touch the place yet."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise InvalidConfig(
            f"Unsupported storage scheme: {parts.scheme or repr(url)}. Use a directory that the workers see too, "
            "as package.storage: file:///path/to/packages."
        )
    if parts.netloc not in ("", "localhost"):
        raise InvalidConfig(
            f"package.storage {url} names a host, {parts.netloc!r}, and not a directory of this machine: "
            f"write file:///{parts.netloc}{parts.path} with three slashes."
        )
    if not parts.path.startswith("/"):
        raise InvalidConfig(f"package.storage {url} names no directory: write file:///path/to/packages.")
    return FileStorage(Path(unquote(parts.path)))


class FileStorage:
    """A directory, often on a file system that the workers share. Archives appear in it whole or not at all."""

    def __init__(self, directory: Path) -> None:
        self.directory: Path | None = directory
        self._directory = directory

    def upload(self, archive: Path, name: str) -> str:
        """See ``Storage``. Two uploads of one name at once do no harm: both bring the same content."""
        target = self._directory / name
        self._check_exists()
        try:
            if not target.exists():
                with temporary_file_in(self._directory) as part:
                    # not shutil.copy: the new file gets the permissions of this directory, not those of a private one
                    with open(archive, "rb") as source, open(part, "xb") as copy:
                        shutil.copyfileobj(source, copy, 1 << 20)
                    os.replace(part, target)
        except OSError as error:
            raise self._unusable("write into", error, archive) from error
        return target.absolute().as_uri()

    def exists(self, name: str) -> bool:
        """See ``Storage``."""
        self._check_exists()
        return (self._directory / name).exists()

    def delete(self, url: str) -> None:
        """See ``Storage``."""
        parts = urlsplit(url)
        target = Path(unquote(parts.path))
        if parts.scheme != "file" or target.parent != self._directory.absolute():
            raise InvalidArgument(f"{url} does not lie in {self._directory}: use the storage that it was uploaded to.")
        try:
            target.unlink(missing_ok=True)
        except OSError as error:
            raise self._unusable("delete from", error) from error

    def _check_exists(self) -> None:
        if not self._directory.is_dir():
            raise InvalidConfig(
                f"Storage directory does not exist: {self._directory}. "
                "Create it where all workers see it, or set package.storage to one that exists."
            )

    def _unusable(self, doing: str, error: OSError, archive: Path | None = None) -> FlameError:
        needed = f" ({format_bytes(archive.stat().st_size)} needed)" if archive is not None and archive.exists() else ""
        reason = error.strerror or str(error)
        return PackageError(
            f"cannot {doing} storage directory {self._directory}: {reason}{needed}. {cure_for_write(error.errno)}"
        )


@contextlib.contextmanager
def temporary_file_in(directory: Path) -> Iterator[Path]:
    """A name to write to and then to rename. What is not renamed is gone afterwards, also after KeyboardInterrupt."""
    part = directory / f".{os.urandom(16).hex()}.part"
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def cure_for_write(code: int | None) -> str:
    """What to do when a place for packages refuses to be written. code: an ``errno``."""
    if code in _FULL:
        return "It is full: delete old packages there, or use a place with more space."
    if code in _FORBIDDEN:
        return "Give this user the right to write there, or use another place."
    if code in NO_DESCRIPTORS:
        return "Close files and sockets, drop big results, or raise the limit with 'ulimit -n'."
    return "Check that the place is there and healthy, or use another one."
