# SPDX-License-Identifier: Apache-2.0
"""Unpack an application's package into a directory of its own, where its workers run.

A directory that comes back as it was handed out is kept, and serves the next application with the same package:
unpacking a thousand files takes longer than looking at them.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from flamepy.cache.descriptors import NO_DESCRIPTORS, too_few_descriptors
from flamepy.errors import FlameError, FlameErrorCode, InvalidArgument, NotFound

KEPT_DIRECTORIES = 4  # of the packages used last; each is a copy of a project
_CACHE_DIRECTORY = "__pycache__"  # Python writes it beside the modules that it imports; it follows from them

StatSignatures = dict[str, tuple[int, int, int, int]]  # path -> mode, size, ctime, inode


@dataclass(frozen=True)
class _Tree:
    root: str
    signatures: StatSignatures


class Installer:
    """Hands out directories below ``scratch``. Thread-safe."""

    def __init__(self, scratch: str) -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._in_use: dict[str, tuple[str, _Tree]] = {}  # root -> (url, how it looked)
        self._kept: list[tuple[str, _Tree]] = []  # (url, how it looked), oldest first

    def install(self, url: str | None, name: str) -> str:
        """A directory with the content of the archive at ``url`` (``file://``); an empty one when there is none.

        Raises NotFound (no such archive), InvalidArgument (not an archive, or not a local one), FlameError (no room,
        too many open files).
        """
        tree = None if url is None else self._take_kept(url)
        if tree is None:
            try:
                tree = self._unpacked(url, name)
            except OSError as error:
                raise _cannot_unpack(name, error) from error
        if url is not None:
            with self._lock:
                self._in_use[tree.root] = (url, tree)
        return tree.root

    def give_back(self, root: str) -> list[str]:
        """Its application is gone, and none of its calls runs. Returns the directories that have to be removed."""
        with self._lock:
            used = self._in_use.pop(root, None)
            if used is None:
                return [root]
            self._kept.append(used)
            superfluous, self._kept = self._kept[:-KEPT_DIRECTORIES], self._kept[-KEPT_DIRECTORIES:]
        return [tree.root for _, tree in superfluous]

    def _take_kept(self, url: str) -> _Tree | None:
        """A kept directory of this package in which nothing has changed."""
        while True:
            with self._lock:
                found = next((kept for kept in self._kept if kept[0] == url), None)
                if found is None:
                    return None
                self._kept.remove(found)
            tree = found[1]
            with contextlib.suppress(OSError):  # a cleaner of the temporary directory has been there
                if dict(_looks(tree.root)) == tree.signatures:
                    return tree
            shutil.rmtree(tree.root, ignore_errors=True)

    def _unpacked(self, url: str | None, name: str) -> _Tree:
        os.makedirs(self._scratch, exist_ok=True)
        root = tempfile.mkdtemp(prefix=f"{name}-", dir=self._scratch)
        try:
            if url is not None:
                _unpack(_local_path(url), root)
            return _Tree(root, dict(_looks(root)))
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise


def _cannot_unpack(name: str, error: OSError) -> FlameError:
    what = f"cannot unpack the files of {name} for its workers"
    if error.errno in NO_DESCRIPTORS:
        return too_few_descriptors(what)
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"{what}: {error.strerror or error} ({error.filename or tempfile.gettempdir()}). See that the temporary "
        "directory exists, can be written and has room (TMPDIR names it).",
    )


def unpack_again(url: str | None, root: str) -> None:
    """Make the directory of an application anew, which something has removed. Raises NotFound when it cannot be."""
    os.makedirs(root)
    if url is not None:
        try:
            _unpack(_local_path(url), root)
        except NotFound as error:
            os.rmdir(root)
            raise NotFound(
                f"the files of the application were removed from the temporary directory ({root}), and their package "
                "as well: close the Runner and create it again."
            ) from error


def _looks(root: str) -> Iterator[tuple[str, tuple[int, int, int, int]]]:
    """What tells that a file was changed, for every file below ``root``, links themselves included.

    The time is that of the inode: programs can set the time of the content back.
    """
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.name == _CACHE_DIRECTORY:
                continue
            seen = entry.stat(follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                yield entry.path, (seen.st_mode, 0, 0, seen.st_ino)
                yield from _looks(entry.path)
            else:
                yield entry.path, (seen.st_mode, seen.st_size, seen.st_ctime_ns, seen.st_ino)


def _local_path(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise InvalidArgument(f"the embedded engine installs packages from file:// only, not from {url!r}.")
    return unquote(parts.path)


def _unpack(path: str, root: str) -> None:
    try:
        with tarfile.open(path) as archive:
            if hasattr(tarfile, "fully_trusted_filter"):
                # the archive is the user's own project, and may link to big files beside it
                archive.extractall(root, filter="fully_trusted")
            else:
                archive.extractall(root)
    except FileNotFoundError as error:
        raise NotFound(f"package {path} not found: it was removed from the storage. Open the Runner again.") from error
    except tarfile.TarError as error:
        raise InvalidArgument(f"package {path} is not a readable tar archive: {error}. Build it again.") from error
