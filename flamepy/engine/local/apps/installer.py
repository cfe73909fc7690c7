# SPDX-License-Identifier: Apache-2.0
"""Unpack an application's package into a directory of its own, where its workers run.

A directory that comes back as it was handed out is kept, and serves the next application with the same package:
unpacking a thousand files takes longer than looking at them. A big package is unpacked behind: making a file costs ten
times what reading it does, and only workers have to wait for that.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path

from flamepy.protocol.app_directory import (
    check_archive,
    is_complete,
    is_untouched,
    make_directory,
    remove_directory,
    unpack_failure,
    unpack_once,
)

KEPT_DIRECTORIES = 4  # of the packages used last; each is a copy of a project
AT_ONCE_BYTES = 1 << 20  # a smaller archive is unpacked sooner than a process is forked for it


class Installer:
    """Hands out directories below ``scratch``. Thread-safe.

    unpack_behind: sees that an archive is unpacked into a directory, and returns before that is done.
    """

    def __init__(self, scratch: str, unpack_behind: Callable[[str, str, str], object]) -> None:
        self._scratch = scratch
        self._unpack_behind = unpack_behind
        self._lock = threading.Lock()
        self._in_use: dict[str, str] = {}  # root -> url
        self._kept: list[tuple[str, str]] = []  # (url, root), oldest first

    def install(self, url: str | None, name: str) -> str:
        """A directory for the content of the archive at ``url``; an empty one when there is none.

        An archive that lies elsewhere is fetched first. A big one may still be being unpacked. Raises NotFound (no such
        archive), InvalidArgument (not an archive, damaged, or of no known kind), InvalidConfig (a library is missing),
        PackageError (cannot be fetched), FlameError (no room, too many open files).
        """
        root = None if url is None else self._take_kept(url)
        if root is None:
            root = self._new(None if url is None else self._fetched(url), name)
        if url is not None:
            with self._lock:
                self._in_use[root] = url
        return root

    def give_back(self, root: str) -> list[str]:
        """Its application is gone, and none of its calls runs. Returns the directories that have to be removed."""
        with self._lock:
            url = self._in_use.pop(root, None)
            if url is None or not is_complete(root):
                return [root]
            self._kept.append((url, root))
            superfluous, self._kept = self._kept[:-KEPT_DIRECTORIES], self._kept[-KEPT_DIRECTORIES:]
            needed = {*self._in_use.values(), *(kept for kept, _ in self._kept)}
            downloads = {self._download_directory(left) for left, _ in superfluous if left not in needed}
        return [*(root for _, root in superfluous), *filter(os.path.isdir, downloads)]

    def archive_at(self, url: str) -> str:
        """The file of this machine that is the archive of an application, or a copy of it that was fetched."""
        from urllib.parse import unquote, urlsplit  # in functions, because the zygote starts while the engine is loaded

        path = urlsplit(url).path
        if url.startswith("file:"):
            return unquote(path)
        return os.path.join(self._download_directory(url), unquote(path.rpartition("/")[2]))

    def fetch(self, url: str) -> None:
        """Get an archive that lies elsewhere, unless it is here. Raises as ``install``."""
        if not url.startswith("file:"):
            from flamepy.packaging import fetch_archive

            fetch_archive(url, Path(self._download_directory(url)))

    def _fetched(self, url: str) -> str:
        self.fetch(url)
        return self.archive_at(url)

    def _download_directory(self, url: str) -> str:
        """One for each url: not every file name has a digest in it."""
        import hashlib

        return os.path.join(self._scratch, f"fetched-{hashlib.sha256(url.encode()).hexdigest()[:16]}")

    def _take_kept(self, url: str) -> str | None:
        """A kept directory of this package in which nothing has changed."""
        while True:
            with self._lock:
                found = next((kept for kept in self._kept if kept[0] == url), None)
                if found is None:
                    return None
                self._kept.remove(found)
            root = found[1]
            if is_untouched(root):
                return root
            remove_directory(root)

    def _new(self, archive: str | None, name: str) -> str:
        try:
            root = make_directory(self._scratch, name)
        except OSError as error:
            raise unpack_failure(name, error) from error
        try:
            if archive is not None and _is_big(archive):
                check_archive(archive)
                self._unpack_behind(archive, root, name)
            elif archive is not None:
                unpack_once(archive, root, name)
        except BaseException:
            remove_directory(root)
            raise
        return root


def _is_big(archive: str) -> bool:
    with contextlib.suppress(OSError):  # who opens it will say why that cannot be
        return os.stat(archive).st_size > AT_ONCE_BYTES
    return False
