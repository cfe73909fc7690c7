# SPDX-License-Identifier: Apache-2.0
"""What a caller can choose about a package, and the two usual choices: for this machine, or for a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MAX_PACKAGE_BYTES = 100 * 1024 * 1024  # beyond it there is data in it, which travels better otherwise
MAX_PACKAGE_FILES = 100_000  # about 10 s of packing; more is a data set, or a home directory by mistake
LINK_OVER_BYTES = 20 * 1024 * 1024  # copying it would cost more than a start may


@dataclass(frozen=True)
class PackageOptions:
    """excludes: fnmatch patterns beyond the built-in ones; includes: fnmatch patterns that win over every rule.

    max_bytes, max_files: of the unpacked content. link_over_bytes: bigger files become links to themselves and do not
    count (same machine only); None = never. compresslevel: of gzip, 0 to 9. is_for_cluster: with flamepy beside it,
    which no node needs to have then. private_files: never packed, whatever the patterns say.
    """

    excludes: tuple[str, ...] = ()
    includes: tuple[str, ...] = ()
    max_bytes: int = MAX_PACKAGE_BYTES
    max_files: int = MAX_PACKAGE_FILES
    link_over_bytes: int | None = None
    compresslevel: int = 6
    is_for_cluster: bool = False
    private_files: tuple[str, ...] = ()

    @classmethod
    def for_this_machine(cls, excludes: Iterable[str] = (), includes: Iterable[str] = ()) -> PackageOptions:
        """Nothing is compressed: the archive is read once, from the page cache."""
        return cls(tuple(excludes), tuple(includes), link_over_bytes=LINK_OVER_BYTES, compresslevel=0)

    @classmethod
    def for_cluster(cls, excludes: Iterable[str] = (), includes: Iterable[str] = ()) -> PackageOptions:
        return cls(tuple(excludes), tuple(includes), is_for_cluster=True)
