# SPDX-License-Identifier: Apache-2.0
"""One project directory over time: what it holds now, and which archive holds the same already."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flamepy.packaging.digests import Contents, Reading, content_identity, read_contents, tree_digest
from flamepy.packaging.options import PackageOptions
from flamepy.packaging.runtime import runtime_files
from flamepy.packaging.selection.limits import check_extra, check_size
from flamepy.packaging.selection.manifest import Entry, Kind, Manifest, Row, Stamp
from flamepy.packaging.selection.scan import Scanner


@dataclass(frozen=True)
class Snapshot:
    """What a project held at one time. added: files that only the archive has; identities: path -> what it is."""

    sha: str
    entries: tuple[Entry, ...]
    added: Mapping[str, bytes]
    notes: tuple[str, ...]
    identities: Mapping[str, bytes]


@dataclass
class _Known:
    """The last snapshot, and what it was made of. unsettled: entries whose stamp does not stand for their content."""

    manifest: Manifest
    extra: Mapping[str, bytes]
    snapshot: Snapshot
    unsettled: list[Entry]


class Project:
    """The memory of one directory under one set of options. Its owner holds a lock around every call.

    archives_in: real paths of directories that hold finished packages. newest: the archive packed last, by sha.
    """

    def __init__(self, root: str, options: PackageOptions, now_ns: Callable[[], int]) -> None:
        self.root = root
        self.options = options
        self.archives_in: frozenset[str] = frozenset()
        self.newest: tuple[str, Path] | None = None
        self._scanner = Scanner(root, options)
        self._contents = Contents()
        self._known: _Known | None = None
        self._now_ns = now_ns

    def scan(self) -> Manifest:
        """Raises PackageError for what cannot be listed, and for too many files."""
        return self._scanner.scan(archives_in=self.archives_in)

    def rows(self) -> list[Row]:
        """Every path and why it is packed or not. Raises as ``scan``."""
        rows: list[Row] = []
        self._scanner.scan(archives_in=self.archives_in, on_row=rows.append)
        return rows

    def check(self, manifest: Manifest, extra: Mapping[str, bytes]) -> None:
        """Raises PackageError for too many bytes, before any is read, and for an extra file that hides another."""
        check_extra(extra, manifest.entries, root=self.root)
        added = (Entry(path, Kind.FILE, "", Stamp(len(extra[path]), 0, 0, 0, 0)) for path in extra)
        check_size((*manifest.entries, *added), root=self.root, max_bytes=self.options.max_bytes)

    def archive_of(self, sha: str) -> Path | None:
        """The archive with this content, if it is the newest one and still there."""
        if self.newest is None or self.newest[0] != sha or not self.newest[1].exists():
            return None
        return self.newest[1]

    def snapshot(self, manifest: Manifest, extra: Mapping[str, bytes]) -> Snapshot:
        """Read what is not known yet, and only that; the same object when nothing has changed. Raises PackageError."""
        known = self._known
        if known is not None and known.manifest is manifest and known.extra == extra and self._settle(known):
            return known.snapshot
        missing = self._contents.missing(manifest.entries)
        readings = read_contents(missing, self._now_ns)
        gone = {entry.path for entry in missing} - readings.keys()
        left = [entry for entry in manifest.entries if entry.path not in gone]
        return self.snapshot_of(left, manifest, readings, extra)

    def _settle(self, known: _Known) -> bool:
        """Read again what the stamps do not vouch for; is it still what it was?"""
        readings = read_contents(known.unsettled, self._now_ns)
        for entry in known.unsettled:
            reading = readings.get(entry.path)
            if reading is None or reading.stamp != entry.stamp or not self._contents.agrees(entry, reading):
                return False
        self._contents.record(readings)
        known.unsettled = [entry for entry in known.unsettled if not readings[entry.path].is_settled]
        return True

    def snapshot_of(
        self,
        entries: Sequence[Entry],
        manifest: Manifest,
        readings: Mapping[str, Reading],
        extra: Mapping[str, bytes],
    ) -> Snapshot:
        """Put together what was read just now with what was known."""
        self._contents.record(readings)
        # the mode belongs to the content that was read, not to the walk before
        read = tuple(_as_read(entry, readings.get(entry.path)) for entry in entries)
        added = self.added_to(extra)
        identities = {entry.path: self._contents.identity(entry) for entry in read}
        identities.update({path: content_identity(content) for path, content in added.items()})
        snapshot = Snapshot(tree_digest(identities), read, added, manifest.notes, identities)
        self._known = _Known(manifest, dict(extra), snapshot, self._contents.missing(read))
        return snapshot

    def added_to(self, extra: Mapping[str, bytes]) -> dict[str, bytes]:
        """The files that only the archive gets."""
        return {**extra, **runtime_files()} if self.options.is_for_cluster else dict(extra)


def _as_read(entry: Entry, reading: Reading | None) -> Entry:
    return entry if reading is None or reading.stamp == entry.stamp else entry._replace(stamp=reading.stamp)
