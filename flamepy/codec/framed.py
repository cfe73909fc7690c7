# SPDX-License-Identifier: Apache-2.0
"""A payload as plain bytes, its buffers beside the stream: how values of calls lie in the cache of a cluster."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from flamepy.codec.payload import Payload
from flamepy.errors import FlameError, FlameErrorCode

MAGIC = b"FLP\x01"  # programs of 0.6 begin their objects with FLM
_COUNT, _LENGTH = struct.Struct("<I"), struct.Struct("<Q")


def parts_of(payload: Payload) -> list[bytes | memoryview]:
    """The payload as byte strings to be written one behind the other; big buffers are referred to, not copied."""
    parts = [payload.data, *payload.buffers]
    lengths = [len(each) if isinstance(each, bytes) else each.nbytes for each in parts]
    head = MAGIC + _COUNT.pack(len(parts)) + b"".join(map(_LENGTH.pack, lengths))
    return [head, *parts]


def payload_of(data: bytes | memoryview) -> Payload:
    """The payload that ``parts_of`` wrote; its buffers are private copies. Raises FlameError for other bytes."""
    view = memoryview(data)
    offset = len(MAGIC) + _COUNT.size
    if bytes(view[: len(MAGIC)]) != MAGIC or len(view) < offset:
        raise _damaged()
    count = _COUNT.unpack_from(view, len(MAGIC))[0]
    if not count or len(view) < offset + count * _LENGTH.size:
        raise _damaged()
    lengths = struct.unpack_from(f"<{count}Q", view, offset)
    offset += count * _LENGTH.size
    if offset + sum(lengths) != len(view):
        raise _damaged()
    pieces = []
    for length in lengths:
        pieces.append(view[offset : offset + length])
        offset += length
    return Payload(pieces[0], [memoryview(bytearray(each)) for each in pieces[1:]])


def nbytes_of(parts: Sequence[bytes | memoryview]) -> int:
    return sum(len(each) if isinstance(each, bytes) else each.nbytes for each in parts)


def _damaged() -> FlameError:
    return FlameError(
        FlameErrorCode.INTERNAL,
        "a value on its way through the cluster is damaged, or another release of flame-jupyter wrote it: open the "
        "Runner again, so that workers get this one.",
    )
