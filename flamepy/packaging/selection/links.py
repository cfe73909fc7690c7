# SPDX-License-Identifier: Apache-2.0
"""What a symbolic link in a project means for its package.

A link to something in the project is packed as a link; so is one that leads nowhere. A link that leaves the project
is packed as what it points to: the worker's copy lies elsewhere, and an edit behind the link must be noticed.
A link to a directory that holds the link itself would never end: it is left out.
"""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass
from enum import Enum


class LinkKind(Enum):
    INSIDE = 1
    DANGLING = 2
    FILE_OUTSIDE = 3
    DIRECTORY_OUTSIDE = 4
    LOOP = 5


@dataclass(frozen=True)
class Link:
    """target: what to write into the archive (INSIDE, DANGLING), or the absolute path behind the link."""

    kind: LinkKind
    target: str


def read_link(source: str, path: str, *, root: str, visited: tuple[str, ...]) -> Link:
    """Classify the link at ``source``, which is called ``path`` in the package.

    root, visited: real paths; of the project, and of the directories through which the walk came here.
    """
    text = os.readlink(source)
    real = os.path.realpath(source)
    try:
        status = os.stat(real)
    except OSError:
        return Link(LinkKind.DANGLING, text)
    if is_below(real, root):
        return Link(LinkKind.INSIDE, _text_inside(text, real, source, path, root))
    if not stat.S_ISDIR(status.st_mode):
        return Link(LinkKind.FILE_OUTSIDE, real)
    if any(is_below(directory, real) for directory in visited):
        return Link(LinkKind.LOOP, real)
    return Link(LinkKind.DIRECTORY_OUTSIDE, real)


def is_below(path: str, directory: str) -> bool:
    """Is ``path`` this directory, or something in it? Both real paths."""
    return path == directory or path.startswith(directory.rstrip("/") + "/")


def _text_inside(text: str, real: str, source: str, path: str, root: str) -> str:
    """Keep the link as it was written where it also holds in another place; else say it relative to the link."""
    where = posixpath.dirname(path)
    is_in_place = os.path.join(root, path) == source  # not so behind a link that left the project
    if is_in_place and not os.path.isabs(text) and not posixpath.normpath(posixpath.join(where, text)).startswith(".."):
        return text
    return os.path.relpath(real, os.path.join(root, where))
