# SPDX-License-Identifier: Apache-2.0
"""What a package for a cluster brings along: flamepy itself, in a directory of its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from pathlib import Path

RUNTIME_DIRECTORY = ".flame"
_SUFFIXES = frozenset({".py", ".sh", ".binpb"})


@functools.cache
def runtime_files() -> Mapping[str, bytes]:
    """Path in the package -> content, of this installation's own files."""
    root = Path(__file__).resolve().parents[1]
    return {
        f"{RUNTIME_DIRECTORY}/{root.name}/{path.relative_to(root).as_posix()}": path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.suffix in _SUFFIXES
    }
