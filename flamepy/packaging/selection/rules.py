# SPDX-License-Identifier: Apache-2.0
"""Which path is packed, and by which rule it is not. Pure: paths and patterns in, verdicts out.

The first rule with an opinion wins: ``includes``, ``excludes``, .flameignore, the built-in excludes, .gitignore.
A directory that is left out is not entered, as in git, so nothing below it is asked about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from typing import Protocol

GITIGNORE, FLAMEIGNORE = ".gitignore", ".flameignore"
DEFAULT_EXCLUDES = (
    # as 0.6 does
    *(".venv", "venv", "__pycache__", ".pytest_cache", ".ruff_cache", ".mypy_cache", "*.egg-info", ".git", ".tox"),
    *("node_modules", "*.pyc", "*.pyo", ".DS_Store"),
    # a notebook's cells travel as code, and its saved outputs would make a new package at every save
    *(".ipynb_checkpoints", "*.ipynb"),
)
_WILDCARDS = frozenset("*?[")
TOP_LEVEL_EXCLUDES = frozenset({"dist"})


class IgnoreRules(Protocol):
    """The patterns of one ignore file, or of a chain of them."""

    def verdict(self, path: str, *, is_directory: bool) -> tuple[bool, str] | None:
        """(is it ignored, by which line), or None when no pattern says anything about ``path``."""
        ...


@dataclass(frozen=True)
class Verdict:
    """rule: says why, for people; "" when nothing spoke. is_forced: ``includes`` named it, or a directory above it."""

    is_included: bool
    rule: str = ""
    is_forced: bool = False


INCLUDED = Verdict(is_included=True)


class Patterns:
    """fnmatch patterns, matched as in 0.6: against the path below the root and against the last name in it.

    A pattern that ends in "/" means directories only; a leading "./" means nothing.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = tuple((raw, raw.removeprefix("./").rstrip("/")) for raw in patterns)
        patterns = {pattern for _, pattern in self._patterns}
        # most patterns are a name, or a star and an ending
        self._plain = frozenset(each for each in patterns if not _has_wildcard(each))
        self._endings = tuple(each[1:] for each in patterns if each[:1] == "*" and not _has_wildcard(each[1:]))
        others = patterns - self._plain - {"*" + each for each in self._endings}
        self._others = re.compile("|".join(map(translate, others))) if others else None

    def match(self, path: str, name: str, *, is_directory: bool) -> str | None:
        """The first pattern that fits, as it was written; None when none does."""
        for raw, pattern in self._patterns:
            if (is_directory or not raw.endswith("/")) and (fnmatchcase(name, pattern) or fnmatchcase(path, pattern)):
                return raw
        return None

    def may_fit(self, path: str, name: str) -> bool:
        """False where ``match`` gives None, which most names get: as quick to say as can be."""
        if name in self._plain or path in self._plain or path.endswith(self._endings):
            return True
        return self._others is not None and bool(self._others.match(name) or self._others.match(path))

    def reaches_below(self, directory: str) -> bool:
        """Does a pattern name this directory on the way to something in it (``build/*/model.bin`` names ``build``)?

        A pattern that begins with a mere star names no directory: a search through .venv is not wanted.
        """
        parts = directory.split("/")
        for _, pattern in self._patterns:
            way = pattern.split("/")[:-1]
            if "**" in way[1:]:  # any depth from there on
                way[way.index("**", 1) :] = ["*"] * len(parts)
            if len(way) >= len(parts) and way[0].strip("*") and all(map(fnmatchcase, parts, way)):
                return True
        return False


def _has_wildcard(pattern: str) -> bool:
    return not _WILDCARDS.isdisjoint(pattern)


class Rules:
    """The rules of one project, apart from its ignore files, which the walk finds on its way."""

    def __init__(
        self, *, excludes: Sequence[str] = (), includes: Sequence[str] = (), is_for_cluster: bool = False
    ) -> None:
        self._includes = Patterns(includes)
        self._excludes = Patterns(excludes)
        self._defaults = Patterns(DEFAULT_EXCLUDES)
        # a cluster's workers must run their own flamepy, and the package comes first on their path
        self._top_level = TOP_LEVEL_EXCLUDES | ({"flamepy"} if is_for_cluster else set())
        self._all = Patterns((*includes, *excludes, *DEFAULT_EXCLUDES, GITIGNORE, FLAMEIGNORE))

    def decide(
        self, path: str, *, is_directory: bool, above: Verdict, flameignore: IgnoreRules, gitignore: IgnoreRules
    ) -> Verdict:
        """The verdict on ``path``, whose directory got ``above``."""
        name = path.rpartition("/")[2]
        may_fit = self._all.may_fit(path, name)
        if may_fit and name in (GITIGNORE, FLAMEIGNORE) and not is_directory:
            return Verdict(is_included=False, rule=f"{name} is read, not shipped")
        if may_fit and (pattern := self._includes.match(path, name, is_directory=is_directory)) is not None:
            return Verdict(is_included=True, rule=f"include {pattern}", is_forced=True)
        if not above.is_included:
            return above
        if not above.is_forced:
            if may_fit and (pattern := self._excludes.match(path, name, is_directory=is_directory)) is not None:
                return Verdict(is_included=False, rule=f"exclude {pattern}")
            if (said := flameignore.verdict(path, is_directory=is_directory)) is not None:
                return Verdict(is_included=not said[0], rule=said[1])
        if may_fit and (pattern := self._defaults.match(path, name, is_directory=is_directory)) is not None:
            return Verdict(is_included=False, rule=f"built-in {pattern}")
        if above.is_forced:
            return above
        if path in self._top_level and is_directory:
            return Verdict(is_included=False, rule=f"built-in /{path}/")
        if (said := gitignore.verdict(path, is_directory=is_directory)) is not None:
            return Verdict(is_included=not said[0], rule=said[1])
        return INCLUDED

    def must_enter(self, directory: str, verdict: Verdict) -> bool:
        """Must the walk look into this directory? Also when it is left out but ``includes`` names something in it."""
        return verdict.is_included or self._includes.reaches_below(directory)
