# SPDX-License-Identifier: Apache-2.0
"""What a walk over a project finds: entries to pack, notes for people, rows for a dry run."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class Kind(Enum):
    """FILE: packed with its content. LINK: a symbolic link. LINKED: a big file, packed as a link to itself."""

    DIRECTORY = b"d"
    FILE = b"f"
    LINK = b"l"
    LINKED = b"b"


class Stamp(NamedTuple):
    """What changes when a file changes. ``ctime_ns`` cannot be set by a program: it betrays a restored mtime."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    mode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode)


def archived_file_mode(stamp: Stamp) -> int:
    """Permissions of a file in the archive: like git, only "executable or not" survives, whatever the umask."""
    return 0o755 if stamp.mode & stat.S_IXUSR else 0o644


class Entry(NamedTuple):
    """One thing to pack (a tuple: there are thousands).

    path: below the root, with "/"; source: where to read it; target: of LINK and LINKED, else "".
    """

    path: str
    kind: Kind
    source: str
    stamp: Stamp
    target: str = ""

    @property
    def archived_mode(self) -> int:
        """Permissions in the archive."""
        if self.kind is Kind.FILE:
            return archived_file_mode(self.stamp)
        return 0o755 if self.kind is Kind.DIRECTORY else 0o777

    @property
    def counted_bytes(self) -> int:
        """What it adds to the size of the package."""
        return self.stamp.size_bytes if self.kind is Kind.FILE else 0


@dataclass(frozen=True)
class Row:
    """One line of a dry run. size_bytes: None for a directory that is left out without looking inside.

    is_linked: packed as a link to itself, so that its size does not count.
    """

    path: str
    size_bytes: int | None
    is_included: bool
    rule: str
    is_linked: bool = False


@dataclass(frozen=True)
class Manifest:
    """entries: sorted by path, parents first. notes: what was left out or changed in a way that may surprise."""

    entries: tuple[Entry, ...]
    notes: tuple[str, ...] = ()

    @property
    def nbytes(self) -> int:
        return sum(entry.counted_bytes for entry in self.entries)
