# SPDX-License-Identifier: Apache-2.0
"""What a reader is sent who has some version of an object already. A pure decision."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum, auto


class Reply(Enum):
    """What goes out."""

    NOTHING = auto()  # the reader has it
    PATCHES = auto()  # those behind the reader's version
    EVERYTHING = auto()


def reply_to(reader_version: int, *, base_version: int, patch_versions: Sequence[int], is_table: bool) -> Reply:
    """reader_version: 0 = it has none. base_version: at which the object was written whole, patches follow on it.

    A table comes whole or not at all: its readers know no patches.
    """
    version = patch_versions[-1] if patch_versions else base_version
    if reader_version == 0:
        return Reply.EVERYTHING
    if reader_version == version:
        return Reply.NOTHING
    missing = range(reader_version + 1, version + 1)
    if not is_table and base_version <= reader_version < version and set(missing) <= set(patch_versions):
        return Reply.PATCHES
    return Reply.EVERYTHING
