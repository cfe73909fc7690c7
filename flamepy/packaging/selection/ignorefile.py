# SPDX-License-Identifier: Apache-2.0
"""Ignore files in git's language: one file read, and the chain of those that hold in a directory.

Only files below the project's root count: what a package holds depends on the directory alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


class IgnoreFile:
    """directory: where it lies below the root, "" for the root; text: its content."""

    def __init__(self, directory: str, name: str, text: str) -> None:
        self._prefix = f"{directory}/" if directory else ""
        self._name = self._prefix + name
        self._lines = text.splitlines()

    @cached_property
    def _spec(self) -> GitIgnoreSpec:
        # imported here: 15 ms that a project without ignore files does not pay
        from pathspec import GitIgnoreSpec

        return GitIgnoreSpec.from_lines(self._lines)

    def verdict(self, path: str, *, is_directory: bool) -> tuple[bool, str] | None:
        """See ``rules.IgnoreRules``. ``path`` lies below this file's directory."""
        result = self._spec.check_file(path[len(self._prefix) :] + ("/" if is_directory else ""))
        if result.include is None or result.index is None:
            return None
        return result.include, f"{self._name}:{result.index + 1} {self._lines[result.index]}"


@dataclass(frozen=True)
class IgnoreChain:
    """The ignore files of one kind that hold in a directory, its own first: the nearest opinion wins."""

    files: tuple[IgnoreFile, ...] = ()

    def below(self, file: IgnoreFile) -> IgnoreChain:
        """The chain in the directory where ``file`` lies."""
        return IgnoreChain((file, *self.files))

    def verdict(self, path: str, *, is_directory: bool) -> tuple[bool, str] | None:
        """See ``rules.IgnoreRules``."""
        for file in self.files:
            if (said := file.verdict(path, is_directory=is_directory)) is not None:
                return said
        return None
