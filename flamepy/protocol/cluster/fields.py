# SPDX-License-Identifier: Apache-2.0
"""Byte strings in a row, each behind its length: the one shape of everything here. Reading survives any bytes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from flamepy.errors import FlameError, FlameErrorCode

_LENGTH = struct.Struct("<Q")


def packed(fields: Sequence[bytes]) -> bytes:
    parts: list[bytes] = []
    for each in fields:
        parts += [_LENGTH.pack(len(each)), each]
    return b"".join(parts)


def unpacked(data: bytes | memoryview, count: int | None = None) -> list[memoryview]:
    """The fields, as views. count: how many there must be, None = any number. Raises FlameError for other bytes."""
    view, found, offset = memoryview(data), [], 0
    while offset < len(view):
        begin = offset + _LENGTH.size
        if begin > len(view):
            raise damaged()
        length = _LENGTH.unpack_from(view, offset)[0]
        offset = begin + length
        if offset > len(view):
            raise damaged()
        found.append(view[begin:offset])
    if count is not None and len(found) != count:
        raise damaged()
    return found


def damaged() -> FlameError:
    return FlameError(
        FlameErrorCode.INTERNAL,
        "what came from the other end of the cluster is damaged, or another release of flame-jupyter wrote it: "
        "open the Runner again, so that workers get this one.",
    )
