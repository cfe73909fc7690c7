# SPDX-License-Identifier: Apache-2.0
"""Modules of the package know which file of the user's project they came from.

A worker imports them from a copy that is gone soon. Their code carries the name of the user's own file instead, so
tracebacks, warnings, logs and profilers point there. ``__file__`` stays the copy's, beside which the data files lie.
"""

from __future__ import annotations

import linecache
import os
import sys
import types
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import Any


def name_origins(root: str, project: str) -> None:
    """From now on modules below ``root`` carry the names that their files have below ``project``."""
    if root == project:
        return

    class OriginLoader(SourceFileLoader):
        def get_code(self, fullname: str) -> types.CodeType | None:
            origin = os.path.join(project, os.path.relpath(self.path, root))
            try:
                code = super().get_code(fullname)
            except SyntaxError as error:
                error.filename = origin
                raise
            if code is None:
                return None
            # what runs is the copy, whatever becomes of the original; without a time nothing looks for a change
            source = _source_of(self, fullname)
            linecache.cache[origin] = (len(source), None, source.splitlines(keepends=True), origin)
            return _renamed(code, origin)

    finder = FileFinder.path_hook(
        (ExtensionFileLoader, EXTENSION_SUFFIXES),
        (OriginLoader, SOURCE_SUFFIXES),
        (SourcelessFileLoader, BYTECODE_SUFFIXES),
    )
    below = root + os.sep

    def hook(path: str) -> Any:
        if path != root and not path.startswith(below):
            raise ImportError(f"not in the package: {path}", path=path)
        return finder(path)

    sys.path_hooks.insert(0, hook)


def _source_of(loader: SourceFileLoader, fullname: str) -> str:
    try:
        return loader.get_source(fullname) or ""
    except (ImportError, OSError):  # compiled elsewhere: the text is gone, or in an encoding that is not known here
        return ""


def _renamed(code: types.CodeType, filename: str) -> types.CodeType:
    """The same code, and what is nested in it, under another file name."""
    constants = tuple(_renamed(each, filename) if isinstance(each, types.CodeType) else each for each in code.co_consts)
    return code.replace(co_filename=filename, co_consts=constants)
