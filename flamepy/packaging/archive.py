# SPDX-License-Identifier: Apache-2.0
"""Writes the archive: same content, same bytes. Reads each file once, and tells what it read."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.packaging.digests import ADDED_FILE_MODE, Reading, read_entry
from flamepy.packaging.selection.manifest import Entry, Kind, Stamp, archived_file_mode

if TYPE_CHECKING:
    from flamepy.packaging.tar_stream import TarStream

Progress = Callable[[int, int], None]


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

    from flamepy.packaging.tar_stream import TarStream

    readings: dict[str, Reading] = {}
    files = nbytes = 0
    with open(path, "xb") as raw, gzip.GzipFile("", "wb", compresslevel, raw, mtime=0) as zipped:
        tar = TarStream(zipped)
        for name, item in _in_order(entries, added):
            if isinstance(item, bytes):
                tar.add_file(name, ADDED_FILE_MODE, len(item), [item])
                continue
            if item.kind is Kind.FILE:
                with contextlib.suppress(FileNotFoundError):
                    reading = readings[name] = read_entry(item, now_ns, _adder(tar, item))
                    nbytes += reading.stamp.size_bytes
            elif item.kind is Kind.DIRECTORY:
                tar.add_directory(name, item.archived_mode)
                continue
            else:
                linked = f"{item.stamp.size_bytes} {item.stamp.mtime_ns}" if item.kind is Kind.LINKED else ""
                tar.add_link(name, item.archived_mode, item.target, linked)
            files += 1
            on_progress(files, nbytes)
        tar.end()
    return readings


def _in_order(entries: Sequence[Entry], added: Mapping[str, bytes]) -> Iterator[tuple[str, Entry | bytes]]:
    if not added:
        return ((entry.path, entry) for entry in entries)
    everything: dict[str, Entry | bytes] = {entry.path: entry for entry in entries}
    everything.update(added)
    return iter(sorted(everything.items(), key=lambda pair: os.fsencode(pair[0])))


def _adder(tar: TarStream, entry: Entry) -> Callable[[Stamp, Iterable[bytes]], None]:
    def add(stamp: Stamp, pieces: Iterable[bytes]) -> None:
        # the mode as it is now, so that the archive agrees with what is remembered of it
        tar.add_file(entry.path, archived_file_mode(stamp), stamp.size_bytes, pieces)

    return add
