# SPDX-License-Identifier: Apache-2.0
"""What files hold, remembered: a file with the stamp of last time is not read again, if that stamp can be trusted.

A stamp cannot be trusted when the file changed just before it was read: a second change within the same tick of the
file system's clock leaves the same stamp. Such a file is read again, until it has been read at a later tick.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from flamepy.errors import PackageError
from flamepy.packaging.selection.limits import shown, unreadable
from flamepy.packaging.selection.manifest import Entry, Kind, Stamp, archived_file_mode

FINE_GRAIN_NS = 20_000_000  # kernels stamp files by their tick, 10 ms at the slowest; twice that
COARSE_GRAIN_NS = 2_000_000_000  # file systems that keep whole seconds; FAT keeps every other
CHUNK_BYTES = 1 << 20
ADDED_FILE_MODE = 0o644  # of a file that only the archive has


class Reading(NamedTuple):
    """What a file held. is_settled: the stamp stands for this content and no other."""

    stamp: Stamp
    digest: bytes
    is_settled: bool


def is_settled(stamp: Stamp, read_at_ns: int) -> bool:
    """Had the clock of the file system moved on between the last change and the reading?"""
    grain_ns = FINE_GRAIN_NS if stamp.ctime_ns % 1_000_000_000 else COARSE_GRAIN_NS
    return stamp.ctime_ns + grain_ns < read_at_ns


class Contents:
    """The readings of one project."""

    def __init__(self) -> None:
        self._readings: dict[str, Reading] = {}

    def missing(self, entries: Iterable[Entry]) -> list[Entry]:
        """The files that must be read."""
        return [entry for entry in entries if entry.kind is Kind.FILE and self._settled(entry) is None]

    def record(self, readings: Mapping[str, Reading]) -> None:
        self._readings.update(readings)

    def agrees(self, entry: Entry, reading: Reading) -> bool:
        """Does a new reading of a file that is known say the same as the last one?"""
        return self._readings[entry.path].digest == reading.digest

    def identity(self, entry: Entry) -> bytes:
        """What makes two entries of one path the same. Files must have been learnt."""
        if entry.kind is Kind.FILE:
            return file_identity(archived_file_mode(entry.stamp), self._readings[entry.path].digest)
        if entry.kind is Kind.LINKED:
            # reading it is what the link avoids; new data must still make a new package
            said = f"{entry.target}\0{entry.stamp.size_bytes}\0{entry.stamp.mtime_ns}".encode(errors="surrogateescape")
        else:
            said = os.fsencode(entry.target)
        return other_identity(entry.kind, entry.archived_mode, said)

    def _settled(self, entry: Entry) -> Reading | None:
        reading = self._readings.get(entry.path)
        return reading if reading is not None and reading.is_settled and reading.stamp == entry.stamp else None


def file_identity(mode: int, digest: bytes) -> bytes:
    """Of a file with its content."""
    return b"f %o %s" % (mode, digest)


def content_identity(content: bytes) -> bytes:
    """Of a file that only the archive has."""
    import hashlib

    return file_identity(ADDED_FILE_MODE, hashlib.sha256(content).digest())


def other_identity(kind: Kind, mode: int, said: bytes) -> bytes:
    """Of what has no content of its own."""
    return b"%s %o %s" % (kind.value, mode, said)


def read_entry(entry: Entry, now_ns: Callable[[], int], consume: Callable[[Stamp, Iterable[bytes]], None]) -> Reading:
    """Read a file once: ``consume`` gets its stamp and its content in pieces, exactly as many bytes as the stamp says.

    Raises FileNotFoundError when it is gone, PackageError when it cannot be read or changes meanwhile.
    """
    import hashlib

    digest = hashlib.sha256()
    read_at_ns = now_ns()
    try:
        fd = os.open(entry.source, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise unreadable(entry.path, error) from error
    try:
        stamp = Stamp.of(os.fstat(fd))
        consume(stamp, _pieces(fd, entry.path, stamp.size_bytes, digest.update))
    finally:
        os.close(fd)
    return Reading(stamp, digest.digest(), is_settled(stamp, read_at_ns))


def _pieces(fd: int, path: str, size_bytes: int, update: Callable[[bytes], object]) -> Iterator[bytes]:
    """So many bytes from an open file; ``update`` is told each piece. Raises PackageError."""
    while size_bytes:
        try:
            piece = os.read(fd, min(size_bytes, CHUNK_BYTES))
        except OSError as error:
            raise unreadable(path, error) from error
        if not piece:
            raise PackageError(
                f"{shown(path)} became shorter while it was read. Pack again when the program that writes it is done, "
                "or leave it out with a line in .flameignore."
            )
        size_bytes -= len(piece)
        update(piece)
        yield piece


def read_contents(entries: Iterable[Entry], now_ns: Callable[[], int]) -> dict[str, Reading]:
    """Read files only to know what they hold. Those that are gone are left out of the answer."""

    def skim(_stamp: Stamp, pieces: Iterable[bytes]) -> None:
        for _ in pieces:
            pass

    readings = {}
    for entry in entries:
        try:
            readings[entry.path] = read_entry(entry, now_ns, skim)
        except FileNotFoundError:
            continue
    return readings


def tree_digest(identities: Mapping[str, bytes]) -> str:
    """SHA-256 over paths, modes and contents, as hexadecimal digits: the same for every order and compression."""
    import hashlib

    rows = sorted((os.fsencode(path), identity) for path, identity in identities.items())
    told = b"".join([b"%d %d\n%s%s" % (len(path), len(identity), path, identity) for path, identity in rows])
    return hashlib.sha256(told).hexdigest()
