# SPDX-License-Identifier: Apache-2.0
"""What the last walk saw of a project, and whether it is all still so: a list and a ``stat`` of each file, no more."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from enum import Enum

from flamepy.core.names import SCRATCH_MARK
from flamepy.packaging.selection.links import Link, LinkKind, read_link
from flamepy.packaging.selection.manifest import Manifest, Stamp

_OWN_ARCHIVE = re.compile(r".+-[0-9a-f]{12}\.tar\.gz\Z|\..+\.part\Z")


class Thing(Enum):
    """What a name stands for, when that is no link."""

    DIRECTORY = 1
    SCRATCH = 2  # the directory of an engine
    FILE = 3
    SPECIAL = 4  # a socket, pipe or device


@dataclass(frozen=True)
class Behind:
    """A link. stamp: of the file behind it, when that is outside the project."""

    link: Link
    stamp: Stamp | None


@dataclass
class SeenDirectory:
    """A directory that was entered. path: "" for the root; visited: see ``links.read_link``.

    files: the stamps of those that are packed and lie in it themselves; others: what every other name stood for.
    ignore_texts: what the ignore files in it say, by their names; "" says nothing, like one that is not there.
    """

    path: str
    source: str
    visited: tuple[str, ...]
    files: dict[str, Stamp] = field(default_factory=dict)
    others: dict[str, Thing | Behind] = field(default_factory=dict)
    ignore_texts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Memory:
    """One walk. root: the real path of the project; archives_in: see ``Scanner.scan``; manifest: what came of it."""

    root: str
    archives_in: frozenset[str]
    directories: tuple[SeenDirectory, ...]
    manifest: Manifest

    def holds(self) -> bool:
        """Would a walk that begins now see the same? Also False when that cannot be found out."""
        try:
            return all(map(self._is_unchanged, self.directories))
        except OSError:
            return False

    def _is_unchanged(self, directory: SeenDirectory) -> bool:
        files, count = directory.files, 0
        has_archives = directory.source in self.archives_in
        with os.scandir(directory.source) as listing:
            for item in listing:
                stamp = files.get(item.name)
                if stamp is not None:
                    # the fields of Stamp, in place: this line is what looking at a big project costs
                    now = item.stat(follow_symlinks=False)
                    if (now.st_size, now.st_mtime_ns, now.st_ctime_ns, now.st_ino, now.st_mode) != stamp:
                        return False
                elif has_archives and is_own_archive(item.name):
                    continue
                elif directory.others.get(item.name) != look_at(item, directory, root=self.root):
                    return False
                count += 1
        if count != len(files) + len(directory.others):
            return False
        return all(read_ignore_file(directory.source, name) == text for name, text in directory.ignore_texts.items())


def look_at(item: os.DirEntry[str], directory: SeenDirectory, *, root: str) -> Thing | Behind:
    """What a name in ``directory`` stands for. Raises OSError."""
    if item.name.startswith("flame-") and os.path.isfile(os.path.join(item.path, SCRATCH_MARK)):
        return Thing.SCRATCH
    if item.is_symlink():
        path = f"{directory.path}/{item.name}" if directory.path else item.name
        visited = (*directory.visited, directory.source)
        link = read_link(os.path.join(directory.source, item.name), path, root=root, visited=visited)
        return Behind(link, Stamp.of(os.stat(link.target)) if link.kind is LinkKind.FILE_OUTSIDE else None)
    if item.is_dir(follow_symlinks=False):
        return Thing.DIRECTORY
    return Thing.FILE if item.is_file(follow_symlinks=False) else Thing.SPECIAL


def read_ignore_file(source: str, name: str) -> str:
    """What the ignore file of that name in the directory ``source`` says. Raises OSError."""
    path = os.path.join(source, name)
    if not os.path.isfile(path):
        return ""
    with open(path, encoding="utf-8", errors="surrogateescape") as lines:
        return lines.read()


def is_own_archive(name: str) -> bool:
    """Is it called as finished packages are, or as one that is being written?"""
    return _OWN_ARCHIVE.match(name) is not None
