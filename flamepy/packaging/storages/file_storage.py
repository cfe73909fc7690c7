# SPDX-License-Identifier: Apache-2.0
"""Packages in a directory, often on a file system that the workers share."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit

from flamepy.errors import FlameError, InvalidArgument, InvalidConfig, PackageError
from flamepy.packaging.selection.limits import format_bytes
from flamepy.packaging.writing import cure_for_write, temporary_file_in

logger = logging.getLogger(__name__)

_ATTEMPTS = 10  # of others that remove what they alone use, each in the instant after we have looked


class FileStorage:
    """A directory, often on a file system that the workers share. Archives appear in it whole or not at all.

    Who uses an archive holds a shared lock on it, and only who gets an exclusive one removes it: so programs that
    share the directory leave each other's packages alone, and one that is killed has let go of them.
    """

    def __init__(self, directory: Path) -> None:
        self.directory: Path | None = directory
        self.knows_users = True  # each of them holds a lock
        self._directory = directory
        self._pid = os.getpid()
        self._in_use: dict[Path, int] = {}  # -> a descriptor that is locked
        self._using = threading.Lock()
        weakref.finalize(self, _close_all, self._in_use).atexit = False  # the end of the process closes them, too

    @classmethod
    def at(cls, url: str) -> FileStorage:
        """Raises InvalidConfig."""
        parts = urlsplit(url)
        if parts.netloc not in ("", "localhost"):
            raise InvalidConfig(
                f"package.storage {url} names a host, {parts.netloc!r}, and not a directory of this machine: "
                f"write file:///{parts.netloc}{parts.path} with three slashes."
            )
        if not parts.path.startswith("/"):
            raise InvalidConfig(f"package.storage {url} names no directory: write file:///path/to/packages.")
        return cls(Path(unquote(parts.path)))

    @classmethod
    def fetch(cls, url: str, into: Path) -> Path:  # noqa: ARG003  # where copies would go
        """See ``Storage``. It lies on this machine already."""
        return Path(unquote(urlsplit(url).path))

    def __str__(self) -> str:
        return self._directory.absolute().as_uri()

    def find(self, name: str) -> str | None:
        """See ``Storage``."""
        self._check_exists()
        target = self._directory.absolute() / name
        try:
            return target.as_uri() if self._use(target) else None
        except OSError as error:
            raise self._unusable("read from", error) from error

    def upload(self, archive: Path, name: str, on_sent: Callable[[int], object] | None = None) -> str:
        """See ``Storage``. Two uploads of one name at once do no harm: both bring the same content."""
        target = self._directory.absolute() / name
        self._check_exists()
        try:
            for _ in range(_ATTEMPTS):
                if self._use(target):
                    break
                with temporary_file_in(self._directory) as part:
                    # not shutil.copy: the new file gets the permissions of this directory, not those of a private one
                    with open(archive, "rb") as source, open(part, "xb") as copy:
                        shutil.copyfileobj(source, copy, 1 << 20)
                    _give_name(part, target)
        except OSError as error:
            raise self._unusable("write into", error, archive) from error
        return target.as_uri()

    def _use(self, target: Path) -> bool:
        """Lock the archive for as long as it is in use; False when it is not there. Raises OSError."""
        with self._using:
            if target in self._in_use:
                if _is_at(target, self._in_use[target]):
                    return True
                os.close(self._in_use.pop(target))  # removed by hand
            try:
                fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return False
            except PermissionError:  # another user's
                return True
            with contextlib.ExitStack() as undo:
                undo.callback(os.close, fd)
                with contextlib.suppress(OSError):  # some file systems know no locks: there nothing is removed
                    fcntl.flock(fd, fcntl.LOCK_SH)  # waits only for the instant in which another process removes it
                if not _is_at(target, fd):
                    return False
                self._in_use[target] = fd
                undo.pop_all()
        return True

    def delete(self, url: str, *, is_last: bool = True) -> None:
        """See ``Storage``."""
        parts = urlsplit(url)
        target = Path(unquote(parts.path))
        if parts.scheme != "file" or target.parent != self._directory.absolute():
            raise InvalidArgument(f"{url} does not lie in {self._directory}: use the storage that it was uploaded to.")
        with self._using:
            fd = self._in_use.pop(target, None)
            try:
                if fd is None:
                    fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
                if self._pid == os.getpid():  # a forked child has its parent's locks
                    _remove_unless_used(target, fd)
            except FileNotFoundError:
                pass
            except OSError as error:
                raise self._unusable("delete from", error) from error
            finally:
                if fd is not None:
                    os.close(fd)

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


def _give_name(part: Path, target: Path) -> None:
    """Never in place of a file that is there: it may be in use."""
    try:
        os.link(part, target)
    except FileExistsError:
        pass
    except OSError:  # some file systems know no second name
        os.replace(part, target)


def _remove_unless_used(target: Path, fd: int) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # a process uses it, or that cannot be known
        logger.debug("package kept path=%s reason=%s", target, error)
        return
    if _is_at(target, fd):
        target.unlink()


def _is_at(target: Path, fd: int) -> bool:
    """Is this descriptor of the file that has the name now?"""
    try:
        return os.path.samestat(os.stat(target), os.fstat(fd))
    except FileNotFoundError:
        return False


def _close_all(in_use: dict[Path, int]) -> None:
    while in_use:
        os.close(in_use.popitem()[1])
