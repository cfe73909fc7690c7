# SPDX-License-Identifier: Apache-2.0
"""Walks over a project's directory: asks the rules about each name, enters only what it must, reads no content.

A scanner remembers the verdicts of its last walk, so that walking over an unchanged tree is look-ups and ``stat``.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flamepy.core.names import SCRATCH_MARK
from flamepy.errors import PackageError
from flamepy.packaging.options import PackageOptions
from flamepy.packaging.selection.ignorefile import IgnoreChain, IgnoreFile
from flamepy.packaging.selection.limits import shown, too_many_files, unreadable
from flamepy.packaging.selection.links import LinkKind, read_link
from flamepy.packaging.selection.manifest import Entry, Kind, Manifest, Row, Stamp
from flamepy.packaging.selection.rules import FLAMEIGNORE, GITIGNORE, INCLUDED, Rules, Verdict

_OWN_ARCHIVE = re.compile(r".+-[0-9a-f]{12}\.tar\.gz\Z|\..+\.part\Z")


@dataclass(frozen=True)
class _Directory:
    """A directory to enter. path: "" for the root; visited: see ``links.read_link``."""

    path: str
    source: str
    verdict: Verdict
    flameignore: IgnoreChain
    gitignore: IgnoreChain
    visited: tuple[str, ...]


class Scanner:
    """One project, walked again and again. Not safe for two threads at once: its owner holds a lock."""

    def __init__(self, root: str, options: PackageOptions) -> None:
        self.root = root
        self._options = options
        self._rules = Rules(excludes=options.excludes, includes=options.includes, is_for_cluster=options.is_for_cluster)
        self._verdicts: dict[tuple[str, bool], Verdict] = {}
        self._ignore_files: dict[str, tuple[str, IgnoreFile]] = {}

    def scan(
        self, *, archives_in: frozenset[str] = frozenset(), on_row: Callable[[Row], None] | None = None
    ) -> Manifest:
        """Walk. Raises PackageError for what cannot be read and for more than ``max_files``.

        archives_in: real paths of directories that hold finished packages: these are left out. on_row: is told about
        each path, also those that are left out.
        """
        walk = _Walk(self, archives_in, on_row or (lambda *_: None))
        walk.run()
        self._verdicts = walk.verdicts
        return Manifest(tuple(sorted(walk.entries, key=lambda entry: os.fsencode(entry.path))), tuple(walk.notes))


class _Walk:
    """One walk of a scanner: what it has found so far."""

    def __init__(self, scanner: Scanner, archives_in: frozenset[str], on_row: Callable[[Row], None]) -> None:
        self._scanner = scanner
        self._options = scanner._options
        self._rules = scanner._rules
        self._archives_in = archives_in
        self._on_row = on_row
        self._file_count = 0
        self.entries: list[Entry] = []
        self.notes: list[str] = []
        self.verdicts: dict[tuple[str, bool], Verdict] = {}

    def run(self) -> None:
        root = self._scanner.root
        # a list instead of recursion: a path may be deeper than Python's stack
        waiting = [_Directory("", root, INCLUDED, IgnoreChain(), IgnoreChain(), (root,))]
        while waiting:
            waiting.extend(self._enter(waiting.pop()))

    def _enter(self, directory: _Directory) -> Iterator[_Directory]:
        try:
            with os.scandir(directory.source) as listing:
                found = list(listing)
        except (FileNotFoundError, NotADirectoryError) as error:
            if not directory.path:
                raise PackageError(
                    f"the directory to package does not exist: {shown(directory.source)}. "
                    "Start in the project's directory."
                ) from error
            return  # removed since its parent was listed
        except OSError as error:
            raise unreadable(directory.path + "/" if directory.path else directory.source, error) from error
        directory = self._with_ignore_files(directory, {item.name for item in found})
        for item in found:
            path = f"{directory.path}/{item.name}" if directory.path else item.name
            try:
                inner = self._visit(item, path, directory)
            except FileNotFoundError:
                continue  # removed since the directory was listed
            except OSError as error:
                raise unreadable(path, error) from error
            if inner is not None:
                yield inner

    def _visit(self, item: os.DirEntry[str], path: str, directory: _Directory) -> _Directory | None:
        """Take one name into account; returns the directory that it is, when it must be entered."""
        status = item.stat(follow_symlinks=False)
        if directory.source in self._archives_in and _OWN_ARCHIVE.match(item.name):
            self._on_row(Row(path, status.st_size, False, "a package of flamepy"))
            return None
        source = os.path.join(directory.source, item.name)
        if item.name.startswith("flame-") and os.path.isfile(os.path.join(source, SCRATCH_MARK)):
            self._on_row(Row(path + "/", None, False, "the scratch directory of an engine"))
            return None
        link = None
        if stat.S_ISLNK(status.st_mode):
            link = read_link(source, path, root=self._scanner.root, visited=(*directory.visited, directory.source))
            if link.kind in (LinkKind.FILE_OUTSIDE, LinkKind.DIRECTORY_OUTSIDE):
                source, status = link.target, os.stat(link.target)
                link = None
        is_directory = stat.S_ISDIR(status.st_mode)
        verdict = self._verdict(path, is_directory, directory)
        nbytes = None if is_directory else status.st_size
        if not verdict.is_included:
            self._on_row(Row(path + "/" * is_directory, nbytes, False, verdict.rule))
        elif link is not None and link.kind is LinkKind.LOOP:
            self._leave_out(path, nbytes, "a link to a directory that holds it")
        elif link is not None:
            self._take(Entry(path, Kind.LINK, source, Stamp.of(status), link.target), verdict)
        elif stat.S_ISREG(status.st_mode):
            self._take(self._file(path, source, status), verdict)
        elif is_directory:
            self._take(Entry(path, Kind.DIRECTORY, source, Stamp.of(status)), verdict)
        else:
            self._leave_out(path, nbytes, "a socket, pipe or device")
        if not is_directory or not self._rules.must_enter(path, verdict):
            return None
        is_elsewhere = item.is_symlink()
        visited = (*directory.visited, directory.source) if is_elsewhere else directory.visited
        return _Directory(path, source, verdict, directory.flameignore, directory.gitignore, visited)

    def _verdict(self, path: str, is_directory: bool, directory: _Directory) -> Verdict:
        key = (path, is_directory)
        verdict = self._scanner._verdicts.get(key)
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
        nbytes = None if is_directory else entry.stamp.size_bytes
        is_linked = entry.kind is Kind.LINKED
        self._on_row(Row(entry.path + "/" * is_directory, nbytes, True, verdict.rule, is_linked))

    def _leave_out(self, path: str, nbytes: int | None, reason: str) -> None:
        self.notes.append(f"{shown(path)} is left out: {reason}")
        self._on_row(Row(path, nbytes, False, reason))

    def _with_ignore_files(self, directory: _Directory, names: set[str]) -> _Directory:
        flameignore, gitignore = directory.flameignore, directory.gitignore
        if (file := self._ignore_file(directory, FLAMEIGNORE, names)) is not None:
            flameignore = flameignore.below(file)
        if (file := self._ignore_file(directory, GITIGNORE, names)) is not None:
            gitignore = gitignore.below(file)
        return _Directory(
            directory.path, directory.source, directory.verdict, flameignore, gitignore, directory.visited
        )

    def _ignore_file(self, directory: _Directory, name: str, names: set[str]) -> IgnoreFile | None:
        """The ignore file in this directory. When it is not what it was, remembered verdicts are worth nothing."""
        known = self._scanner._ignore_files
        key = f"{directory.path}/{name}"
        source = os.path.join(directory.source, name)
        text = ""
        if name in names and os.path.isfile(source):
            try:
                with open(source, encoding="utf-8", errors="surrogateescape") as lines:
                    text = lines.read()
            except OSError as error:
                raise unreadable(key.lstrip("/"), error) from error
        before = known.get(key)
        if before is not None and before[0] == text:
            return before[1]
        if before is None and not text:
            return None
        self._scanner._verdicts = {}
        if not text:
            del known[key]
            return None
        file = IgnoreFile(directory.path, name, text)
        known[key] = (text, file)
        return file
