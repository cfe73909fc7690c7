# SPDX-License-Identifier: Apache-2.0
"""Which values leave memory when there are too many: a pure decision, carried out by ``budget``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

_Name = TypeVar("_Name")


def to_spill(held: Iterable[tuple[_Name, int]], *, total_bytes: int, limit_bytes: int | None) -> list[_Name]:
    """Choose what moves to disk until ``total_bytes`` fits ``limit_bytes`` (None = no limit).

    held: (name, bytes) of everything in memory, least recently admitted first; those are chosen first.
    """
    chosen: list[_Name] = []
    if limit_bytes is None:
        return chosen
    for name, nbytes in held:
        if total_bytes <= limit_bytes:
            break
        chosen.append(name)
        total_bytes -= nbytes
    return chosen
