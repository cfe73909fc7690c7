# SPDX-License-Identifier: Apache-2.0
"""Writes the archive: same content, same bytes. Reads each file once, and tells what it read."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.packaging.digests import CHUNK_BYTES, Reading, read_entry
from flamepy.packaging.selection.manifest import Entry, Kind, Stamp

if TYPE_CHECKING:
    import tarfile

Progress = Callable[[int, int], None]
_ADDED_FILE_MODE = 0o644


def write_archive(
    path: Path,
    entries: Sequence[Entry],
    *,
    added: Mapping[str, bytes],
    compresslevel: int,
    now_ns: Callable[[], int],
    on_progress: Progress,
) -> dict[str, Reading]:
    """Write ``entries`` and the ``added`` files as tar.gz. ``on_progress`` is told files and bytes after each file.

    Returns what each FILE held; one that disappeared since the walk is not in the archive and not in the answer.
    Raises PackageError for what cannot be read, OSError for what cannot be written.
    """
    # imported here: together 10 ms that no other part of the front door needs
    import gzip
    import tarfile

    readings: dict[str, Reading] = {}
    files = nbytes = 0
    with (
        open(path, "xb") as raw,
        gzip.GzipFile("", "wb", compresslevel, raw, mtime=0) as zipped,
        tarfile.TarFile(
            fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8", errors="surrogateescape",
            copybufsize=CHUNK_BYTES,
        ) as tar,
    ):  # fmt: skip
        for name, item in _in_order(entries, added):
            if isinstance(item, bytes):
                tar.addfile(_member(name, tarfile.REGTYPE, _ADDED_FILE_MODE, size=len(item)), io.BytesIO(item))
                continue
            if item.kind is Kind.FILE:
                with contextlib.suppress(FileNotFoundError):
                    readings[name] = read_entry(item, now_ns, _adder(tar, item))
                    nbytes += readings[name].stamp.size_bytes
            elif item.kind is Kind.DIRECTORY:
                tar.addfile(_member(name, tarfile.DIRTYPE, item.archived_mode))
                continue
            else:
                tar.addfile(_member(name, tarfile.SYMTYPE, item.archived_mode, target=item.target))
            files += 1
            on_progress(files, nbytes)
    return readings


def _in_order(entries: Sequence[Entry], added: Mapping[str, bytes]) -> Iterator[tuple[str, Entry | bytes]]:
    if not added:
        return ((entry.path, entry) for entry in entries)
    everything: dict[str, Entry | bytes] = {entry.path: entry for entry in entries}
    everything.update(added)
    return iter(sorted(everything.items(), key=lambda pair: os.fsencode(pair[0])))


def _member(name: str, kind: bytes, mode: int, *, size: int = 0, target: str = "") -> tarfile.TarInfo:
    """A header without anything of this machine: no owner, no time."""
    import tarfile

    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.size = size
    info.linkname = target
    return info


def _adder(tar: tarfile.TarFile, entry: Entry) -> Callable[[Stamp, Iterable[bytes]], None]:
    def add(stamp: Stamp, pieces: Iterable[bytes]) -> None:
        import tarfile

        # the mode as it is now, so that the archive agrees with what is remembered of it
        mode = entry._replace(stamp=stamp).archived_mode
        tar.addfile(_member(entry.path, tarfile.REGTYPE, mode, size=stamp.size_bytes), _Pieces(pieces))

    return add


class _Pieces(io.RawIOBase):
    """Lets tarfile read an iterable; it asks for no less than a piece at a time, or for the rest."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)

    def read(self, _size: int = -1, /) -> bytes:
        return next(self._pieces, b"")
