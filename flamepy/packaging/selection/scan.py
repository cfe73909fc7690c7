# SPDX-License-Identifier: Apache-2.0
"""Walks over a project's directory: asks the rules about each name, enters only what it must, reads no content.

A scanner remembers its last walk. Where nothing has changed since, there is no other; else the verdicts serve again.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from flamepy.errors import PackageError
from flamepy.packaging.options import PackageOptions
from flamepy.packaging.selection.ignorefile import IgnoreChain, IgnoreFile
from flamepy.packaging.selection.limits import shown, too_many_files, unreadable
from flamepy.packaging.selection.links import LinkKind
from flamepy.packaging.selection.manifest import Entry, Kind, Manifest, Row, Stamp
from flamepy.packaging.selection.memory import (
    Behind,
    Memory,
    SeenDirectory,
    Thing,
    is_own_archive,
    look_at,
    read_ignore_file,
)
from flamepy.packaging.selection.rules import FLAMEIGNORE, GITIGNORE, INCLUDED, Rules, Verdict


@dataclass(frozen=True)
class _Directory:
    """A directory to enter: where it lies, and what holds for the names in it."""

    seen: SeenDirectory
    verdict: Verdict
    flameignore: IgnoreChain
    gitignore: IgnoreChain


class Scanner:
    """One project, walked again and again. Not safe for two threads at once: its owner holds a lock.

    verdicts, ignore_files: what the last walk found, for the next one.
    """

    def __init__(self, root: str, options: PackageOptions) -> None:
        self.root = root
        self.options = options
        self.rules = Rules(excludes=options.excludes, includes=options.includes, is_for_cluster=options.is_for_cluster)
        self.verdicts: dict[tuple[str, bool], Verdict] = {}
        self.ignore_files: dict[str, tuple[str, IgnoreFile]] = {}
        self._memory: Memory | None = None

    def scan(
        self, *, archives_in: frozenset[str] = frozenset(), on_row: Callable[[Row], None] | None = None
    ) -> Manifest:
        """What there is to pack: the same object as the last time when nothing has changed since.

        archives_in: real paths of directories that hold finished packages: these are left out. on_row: is told about
        each path, also those that are left out. Raises PackageError for what cannot be read and for more than
        ``max_files``.
        """
        memory = self._memory
        if on_row is None and memory is not None and memory.archives_in == archives_in and memory.holds():
            return memory.manifest
        walk = _Walk(self, archives_in, on_row)
        walk.run()
        self.verdicts = walk.verdicts
        manifest = Manifest(tuple(sorted(walk.entries, key=lambda entry: os.fsencode(entry.path))), tuple(walk.notes))
        self._memory = Memory(self.root, archives_in, tuple(walk.directories), manifest)
        return manifest


class _Walk:
    """One walk of a scanner: what it has found so far."""

    def __init__(self, scanner: Scanner, archives_in: frozenset[str], on_row: Callable[[Row], None] | None) -> None:
        self._scanner = scanner
        self._options = scanner.options
        self._rules = scanner.rules
        self._archives_in = archives_in
        self._on_row = on_row
        self._file_count = 0
        self._private = _identities(self._options.private_files)
        self.entries: list[Entry] = []
        self.notes: list[str] = []
        self.verdicts: dict[tuple[str, bool], Verdict] = {}
        self.directories: list[SeenDirectory] = []

    def run(self) -> None:
        seen = SeenDirectory("", self._scanner.root, visited=(self._scanner.root,))
        # a list instead of recursion: a path may be deeper than Python's stack
        waiting = [_Directory(seen, INCLUDED, IgnoreChain(), IgnoreChain())]
        while waiting:
            waiting.extend(self._enter(waiting.pop()))

    def _enter(self, directory: _Directory) -> Iterator[_Directory]:
        seen = directory.seen
        try:
            with os.scandir(seen.source) as listing:
                found = list(listing)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not seen.path:
                raise PackageError(
                    f"the directory to package does not exist: {shown(seen.source)}. Start in the project's directory."
                ) from error
            return  # removed since its parent was listed
        except OSError as error:
            raise unreadable(seen.path + "/" if seen.path else seen.source, error) from error
        self.directories.append(seen)
        directory = self._with_ignore_files(directory, {item.name for item in found})
        has_archives = seen.source in self._archives_in
        for item in found:
            path = f"{seen.path}/{item.name}" if seen.path else item.name
            try:
                if has_archives and is_own_archive(item.name):
                    self._tell(path, item.stat(follow_symlinks=False).st_size, "a package of flamepy")
                    continue
                inner = self._visit(item, path, directory)
            except FileNotFoundError:
                continue  # removed since the directory was listed
            except OSError as error:
                raise unreadable(path, error) from error
            if inner is not None:
                yield inner

    def _visit(self, item: os.DirEntry[str], path: str, directory: _Directory) -> _Directory | None:
        """Take one name into account; returns the directory that it is, when it must be entered."""
        thing = look_at(item, directory.seen, root=self._scanner.root)
        directory.seen.others[item.name] = thing
        if thing is Thing.SCRATCH:
            self._tell(path + "/", None, "the scratch directory of an engine")
            return None
        source, link, visited = item.path, None, directory.seen.visited
        if not isinstance(thing, Behind):
            status = item.stat(follow_symlinks=False)
        elif thing.link.kind in (LinkKind.FILE_OUTSIDE, LinkKind.DIRECTORY_OUTSIDE):
            source, visited = thing.link.target, (*visited, directory.seen.source)
            status = os.stat(source)
        else:
            link, status = thing.link, item.stat(follow_symlinks=False)
        is_directory = stat.S_ISDIR(status.st_mode)
        verdict = self._verdict(path, is_directory, directory)
        nbytes = None if is_directory else status.st_size
        if not verdict.is_included:
            self._tell(path + "/" * is_directory, nbytes, verdict.rule)
        elif link is not None and link.kind is LinkKind.LOOP:
            self._leave_out(path, nbytes, "a link to a directory that holds it")
        elif link is not None:
            self._take(Entry(path, Kind.LINK, source, Stamp.of(status), link.target), verdict)
        elif (status.st_dev, status.st_ino) in self._private:
            self._leave_out(path, nbytes, "the private key of a connection")
        elif stat.S_ISREG(status.st_mode):
            entry = self._file(path, source, status)
            self._take(entry, verdict)
            if thing is Thing.FILE:
                directory.seen.files[item.name] = entry.stamp
                del directory.seen.others[item.name]
        elif is_directory:
            self._take(Entry(path, Kind.DIRECTORY, source, Stamp.of(status)), verdict)
        else:
            self._leave_out(path, nbytes, "a socket, pipe or device")
        if not is_directory or not self._rules.must_enter(path, verdict):
            return None
        return _Directory(SeenDirectory(path, source, visited), verdict, directory.flameignore, directory.gitignore)

    def _verdict(self, path: str, is_directory: bool, directory: _Directory) -> Verdict:
        key = (path, is_directory)
        verdict = self._scanner.verdicts.get(key)
        if verdict is None:
            verdict = self._rules.decide(
                path,
                is_directory=is_directory,
                above=directory.verdict,
                flameignore=directory.flameignore,
                gitignore=directory.gitignore,
            )
        self.verdicts[key] = verdict
        return verdict

    def _file(self, path: str, source: str, status: os.stat_result) -> Entry:
        limit = self._options.link_over_bytes
        if limit is not None and status.st_size > limit:
            return Entry(path, Kind.LINKED, source, Stamp.of(status), source)
        return Entry(path, Kind.FILE, source, Stamp.of(status))

    def _take(self, entry: Entry, verdict: Verdict) -> None:
        is_directory = entry.kind is Kind.DIRECTORY
        if not is_directory:
            self._file_count += 1
            if self._file_count > self._options.max_files:
                paths = [entry.path for entry in self.entries]
                raise too_many_files(paths, root=self._scanner.root, max_files=self._options.max_files)
        self.entries.append(entry)
        if self._on_row is not None:
            nbytes = None if is_directory else entry.stamp.size_bytes
            is_linked = entry.kind is Kind.LINKED
            self._on_row(Row(entry.path + "/" * is_directory, nbytes, True, verdict.rule, is_linked))

    def _leave_out(self, path: str, nbytes: int | None, reason: str) -> None:
        self.notes.append(f"{shown(path)} is left out: {reason}")
        self._tell(path, nbytes, reason)

    def _tell(self, path: str, nbytes: int | None, rule: str) -> None:
        """Of something that is not packed."""
        if self._on_row is not None:
            self._on_row(Row(path, nbytes, False, rule))

    def _with_ignore_files(self, directory: _Directory, names: set[str]) -> _Directory:
        flameignore, gitignore = directory.flameignore, directory.gitignore
        if (file := self._ignore_file(directory.seen, FLAMEIGNORE, names)) is not None:
            flameignore = flameignore.below(file)
        if (file := self._ignore_file(directory.seen, GITIGNORE, names)) is not None:
            gitignore = gitignore.below(file)
        return replace(directory, flameignore=flameignore, gitignore=gitignore)

    def _ignore_file(self, seen: SeenDirectory, name: str, names: set[str]) -> IgnoreFile | None:
        """The ignore file in this directory. When it is not what it was, remembered verdicts are worth nothing."""
        known = self._scanner.ignore_files
        key = f"{seen.path}/{name}"
        text = ""
        if name in names:
            try:
                text = seen.ignore_texts[name] = read_ignore_file(seen.source, name)
            except OSError as error:
                raise unreadable(key.lstrip("/"), error) from error
        before = known.get(key)
        if before is not None and before[0] == text:
            return before[1]
        if before is None and not text:
            return None
        self._scanner.verdicts = {}
        if not text:
            del known[key]
            return None
        file = IgnoreFile(seen.path, name, text)
        known[key] = (text, file)
        return file


def _identities(paths: Iterable[str]) -> frozenset[tuple[int, int]]:
    """Device and inode of the files, by which they are known under every name; what is not there has none."""
    found = set()
    for path in paths:
        with contextlib.suppress(OSError):
            status = os.stat(path)
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)
