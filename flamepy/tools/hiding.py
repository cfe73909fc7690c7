# SPDX-License-Identifier: Apache-2.0
"""Files that are named like modules: Python looks into the working directory first, and imports them instead."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import FrozenImporter, PathFinder

from flamepy.tools.findings import Finding, Level

GROUP = "Installation"
# import names of what pyproject.toml lists, and ours
NEEDED = frozenset(
    {
        "flamepy",
        "flame_jupyter",
        "cloudpickle",
        "yaml",
        "pathspec",
        "IPython",
        "ipykernel",
        "ipywidgets",
        "anywidget",
        "traitlets",
        "nbformat",
        "tomli",
        "pyflakes",
        "tqdm",
    }
)


@dataclass(frozen=True)
class HidingFile:
    """module: what ``path``, a file or a directory, is imported as in the place of another."""

    module: str
    path: str

    def is_in_the_way(self) -> bool:
        """Does this very process get it: is it imported, or would the next import find it first?"""
        loaded = sys.modules.get(self.module)
        if loaded is not None:
            return _shown(getattr(loaded, "__file__", None)) == self.path
        return _place_of(self.module, [each for each in sys.path if isinstance(each, str)]) == self.path


def hiding_files(modules: Iterable[str]) -> Iterator[HidingFile]:
    """Which of ``modules`` a program would find in the working directory instead, if it started there."""
    try:
        here = os.getcwd()
        names = {name.partition(".")[0] for name in os.listdir(here)}
    except OSError:
        return
    elsewhere = [each for each in sys.path if isinstance(each, str) and os.path.abspath(each) != here]
    for module in sorted(names.intersection(modules)):
        path = _place_of(module, [here])
        if path is not None and _is_elsewhere(module, elsewhere):
            yield HidingFile(module, path)


def look_at_hiding_files() -> Iterator[Finding]:
    for each in hiding_files(NEEDED):
        seen = f"{each.path} takes the place of the installed {each.module}"
        yield Finding(GROUP, os.path.basename(each.path), seen, Level.WRONG, "Rename it, and start again.")
    for each in hiding_files(sys.stdlib_module_names):
        who = "everything here" if each.is_in_the_way() else "a program that starts in its directory"
        seen = f"{each.path} is named like a module of the standard library, and {who} imports it instead"
        yield Finding(GROUP, os.path.basename(each.path), seen, Level.NOTE, "Rename it, unless that is meant.")


def _is_elsewhere(module: str, path: list[str]) -> bool:
    """Is there another one that can be hidden? What is part of the interpreter cannot."""
    if module in sys.builtin_module_names or FrozenImporter.find_spec(module) is not None:
        return False
    return _place_of(module, path) is not None


def _place_of(module: str, path: list[str]) -> str | None:
    """The file or the directory of a module; None also for a plain directory, which hides nothing."""
    spec = PathFinder.find_spec(module, path)
    return None if spec is None else _shown(spec.origin)


def _shown(file: str | None) -> str | None:
    return None if file is None else file.removesuffix(f"{os.sep}__init__.py")
