# SPDX-License-Identifier: Apache-2.0
"""Where workers import from: where the caller does, with the package in the place of the caller's working directory."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import NamedTuple


class ImportPath(NamedTuple):
    """The entries of ``sys.path`` before and behind the package."""

    before: tuple[str, ...]
    behind: tuple[str, ...]


def import_path_of_caller() -> ImportPath:
    """The import path of this process, now. Python ignores entries that are no strings.

    A program that cannot import from its working directory, such as a console script, would not find a file there
    that is named like an installed library: so for its workers the package comes last.
    """
    here = os.getcwd()
    before: list[str] = []
    behind: list[str] = []
    is_behind = False
    for entry in sys.path:
        if not isinstance(entry, str):
            continue
        if not entry or os.path.abspath(entry) == here:
            is_behind = True
        else:
            (behind if is_behind else before).append(entry)
    return ImportPath(tuple(before), tuple(behind))


def hidden_modules(root: str, path: ImportPath) -> tuple[str, ...]:
    """What this process has imported from elsewhere, and a worker would import from the package instead.

    A kernel has loaded much of the standard library before the first cell: a ``random.py`` beside the notebook is not
    what ``import random`` gives there, nor what a library gets.
    """
    if not path.behind:  # the package comes last
        return ()
    with contextlib.suppress(OSError):
        names = {name.partition(".")[0] for name in os.listdir(root)} & sys.modules.keys()
        return tuple(sorted(name for name in names if name != "__main__" and not _is_of_the_project(name)))
    return ()


def _is_of_the_project(name: str) -> bool:
    module = sys.modules[name]
    places = [getattr(module, "__file__", None), *list(getattr(module, "__path__", ()))]
    here = os.path.join(os.getcwd(), "")
    return any(isinstance(place, str) and os.path.abspath(place).startswith(here) for place in places)
