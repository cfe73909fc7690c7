# SPDX-License-Identifier: Apache-2.0
"""Calls on their way to a worker: packets on its socket, several small calls in one, or one call with all it needs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flamepy.cache.blob import Blob
from flamepy.cache.segment import Segment
from flamepy.core.descriptors import too_few_descriptors
from flamepy.errors import FlameError
from flamepy.protocol.frames import (
    BODY_AWAY,
    CALL,
    CALL_HEAD,
    FDS_PER_PACKET,
    HAS_CHECKPOINT,
    HAS_DEFINITION,
    IS_PLAIN,
    PACKET_BYTES,
    WORD,
)  # fmt: skip

_pack_head, _read_head = CALL_HEAD.pack, CALL_HEAD.unpack_from


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it
class CallFrame:
    """A call as it travels. number: of this sending; definition: only with a session's first call in this worker.

    damage: why a part of it did not arrive; then the rest of it is not here either.
    """

    number: int
    session_number: int
    request: Blob
    dependencies: Sequence[Blob] = ()
    definition: Blob | None = None
    checkpoint: Blob | None = None
    damage: FlameError | None = None


def plain_packet(session_number: int, calls: Iterable[tuple[int, bytes]]) -> bytes:
    """Several calls (sending number, request) that need nothing but the bytes of their requests."""
    parts: list[bytes] = []
    for number, request in calls:
        parts.append(_pack_head(CALL, IS_PLAIN, session_number, number, 0, len(request)))
        parts.append(request)
    return b"".join(parts)


def packet_of(call: CallFrame) -> tuple[bytes, list[int], Segment | None]:
    """One call of any kind, and its descriptors; the segment holds the first of them until they are sent."""
    flags = 0
    blobs = [call.request, *call.dependencies]
    if call.checkpoint is not None:
        flags |= HAS_CHECKPOINT
        blobs.insert(0, call.checkpoint)
    if call.definition is not None:
        flags |= HAS_DEFINITION
        blobs.insert(0, call.definition)
    if sum(blob.segment is not None for blob in blobs) > FDS_PER_PACKET - 1:
        blobs = [blob.in_place() for blob in blobs]  # more descriptors than one packet carries
    parts: list[bytes] = [b""]
    fds: list[int] = []
    for blob in blobs:
        blob.write_to(parts, fds)
    nbytes = sum(map(len, parts))
    segment = None
    if nbytes > PACKET_BYTES - CALL_HEAD.size:
        flags |= BODY_AWAY
        segment = Segment.of(parts, nbytes)
        parts = [b"", WORD.pack(nbytes)]
        fds.insert(0, segment.fileno())
    parts[0] = _pack_head(CALL, flags, call.session_number, call.number, len(call.dependencies), 0)
    return b"".join(parts), fds, segment


def read_calls(packet: bytes, fds: list[int]) -> list[CallFrame]:
    """Several plain calls, or one of any kind."""
    calls = []
    offset = 0
    while offset < len(packet):
        _, flags, session_number, number, dependency_count, length = _read_head(packet, offset)
        offset += CALL_HEAD.size
        if not flags & IS_PLAIN:
            return [_read_call(packet, fds, flags, session_number, number, dependency_count)]
        calls.append(CallFrame(number, session_number, Blob((length,), packet[offset : offset + length])))
        offset += length
    return calls


def _read_call(
    packet: bytes, fds: list[int], flags: int, session_number: int, number: int, dependency_count: int
) -> CallFrame:
    body: bytes | memoryview = packet
    offset = CALL_HEAD.size
    next_fd = 0
    if flags & BODY_AWAY:
        body, offset, next_fd = Segment(fds[0], WORD.unpack_from(packet, offset)[0]).map_private(), 0, 1
    blobs = []
    for _ in range(dependency_count + 1 + bool(flags & HAS_DEFINITION) + bool(flags & HAS_CHECKPOINT)):
        blob, offset, next_fd = Blob.read_from(body, offset, fds, next_fd)
        blobs.append(blob)
    definition = blobs.pop(0) if flags & HAS_DEFINITION else None
    checkpoint = blobs.pop(0) if flags & HAS_CHECKPOINT else None
    return CallFrame(number, session_number, blobs[0], blobs[1:], definition, checkpoint)


def damaged_call(packet: bytes, fds: Sequence[int]) -> CallFrame:
    """The call of a packet whose descriptors did not all find a place in this process."""
    for fd in fds:
        os.close(fd)
    _, _, session_number, number, _, _ = _read_head(packet)
    damage = too_few_descriptors("the worker cannot take the arguments of the call")
    return CallFrame(number, session_number, Blob((0,)), damage=damage)
