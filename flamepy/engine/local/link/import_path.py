# SPDX-License-Identifier: Apache-2.0
"""Where workers import from: where the caller does, with the package in the place of the caller's working directory."""

from __future__ import annotations

import contextlib
import os
import sys

from flamepy.protocol.commands import ImportPath


def import_path_of_caller() -> ImportPath:
    """The import path of this process, now. Python ignores entries that are no strings.

    A program that cannot import from its working directory, such as a console script, would not find a file there
    that is named like an installed library: so for its workers the package comes last.
    """
    here = _working_directory()
    before: list[str] = []
    behind: list[str] = []
    is_behind = False
    # plain text: workers may not know a subclass
    for entry in [str.__str__(each) for each in sys.path if isinstance(each, str)]:
        if here is None and not os.path.isabs(entry):
            continue
        path = os.path.abspath(entry)
        if path == here:
            is_behind = True
        else:
            (behind if is_behind else before).extend(_entries_of_worker(entry, path, here))
    return ImportPath(tuple(before), tuple(behind))


def _entries_of_worker(entry: str, path: str, here: str | None) -> list[str]:
    """A worker's working directory is the package, so what is relative means the package, where that has it."""
    if os.path.isabs(entry):
        return [entry]
    is_below = here is not None and path.startswith(os.path.join(here, ""))
    return [os.path.relpath(path, here), path] if is_below else [path]


def hidden_modules(root: str | None, path: ImportPath) -> tuple[str, ...]:
    """What this process has imported from elsewhere, and a worker would import from the package instead.

    root: of the package; None = it is still being unpacked, and may hide anything: the worker will know.

    A kernel has loaded much of the standard library before the first cell: a ``random.py`` beside the notebook is not
    what ``import random`` gives there, nor what a library gets.
    """
    if not path.behind:  # the package comes last
        return ()
    with contextlib.suppress(OSError):
        loaded = {name for name in list(sys.modules) if "." not in name}
        names = loaded if root is None else {name.partition(".")[0] for name in os.listdir(root)} & loaded
        return tuple(sorted(name for name in names if name != "__main__" and not _is_of_the_project(name)))
    return ()


def _is_of_the_project(name: str) -> bool:
    module = sys.modules[name]
    places = [getattr(module, "__file__", None), *list(getattr(module, "__path__", ()))]
    here = _working_directory()
    if here is None:
        return False
    below = os.path.join(here, "")
    return any(isinstance(place, str) and os.path.abspath(place).startswith(below) for place in places)


def _working_directory() -> str | None:
    """None when it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return None
