# SPDX-License-Identifier: Apache-2.0
"""How a call ended, as its worker tells the engine: the value or the failure, the new state and the output in one.

A frame in the result pipe says so. What does not fit into it, or holds descriptors, goes ahead as a packet on the
worker's own socket; the frame then announces it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from flamepy.cache.blob import Blob
from flamepy.cache.segment import Segment
from flamepy.protocol import frames
from flamepy.protocol.frames import HAS_ERRORS, HAS_NEW_STATE, HAS_OUTPUT, HAS_WARNING, IS_PLAIN, ResultHead

_LENGTH = struct.Struct("<I")
_pack_head, _HEAD_BYTES = frames.RESULT_HEAD.pack, frames.RESULT_HEAD.size
_PLAIN_BYTES = frames.PIPE_FRAME_BYTES - _HEAD_BYTES
_IN_PACKET, _IN_SEGMENT = b"\0", b"\1"  # where the body is: behind this byte, or in the first descriptor


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it once it is sent
class Report:
    """status: OK, FAILED or CANCELLED; body: the value or the Failure.

    new_state: of a stateful service, when it changed; warning: when it cannot be saved. output: the tail of what was
    printed; errors: the part of it that Python code wrote to ``sys.stderr``. duration_s: of the call; importing_s: the
    part of it in which modules were imported before it could begin.
    """

    status: int
    body: Blob
    new_state: Blob | None = None
    warning: str = ""
    output: bytes = b""
    errors: bytes = b""
    duration_s: float = 0.0
    importing_s: float = 0.0


@dataclass(slots=True)
class Packet:
    """What goes ahead on the socket. segment: holds the first of the descriptors until they are sent."""

    data: bytes
    fds: Sequence[int]
    segment: Segment | None = None


def encoded(report: Report, *, worker_id: int, number: int) -> tuple[bytes, Packet | None]:
    """The frame for the pipe, and the packet that must be sent before it. number: of the sending that it answers."""
    importing = min(round(report.importing_s / frames.TICK_S), frames.MAX_TICKS) if report.importing_s else 0
    body, packet, kind, flags = report.body.plain_bytes(), None, frames.RESULT, IS_PLAIN
    has_more = report.output or report.new_state or report.warning or report.errors
    if body is None or has_more or len(body) > _PLAIN_BYTES:
        body, fds, flags = _body(report)
        if fds or len(body) > _PLAIN_BYTES:
            kind, packet, body = frames.RESULT_AWAY, _packet(body, fds), b""
    length = _HEAD_BYTES + len(body)
    return _pack_head(
        length, kind, report.status, flags, importing, worker_id, number, report.duration_s
    ) + body, packet


def _body(report: Report) -> tuple[bytes, list[int], int]:
    flags = 0
    parts: list[bytes] = []
    fds: list[int] = []
    report.body.write_to(parts, fds)
    if report.new_state is not None:
        flags |= HAS_NEW_STATE
        report.new_state.write_to(parts, fds)
    texts = (HAS_WARNING, report.warning.encode()), (HAS_OUTPUT, report.output), (HAS_ERRORS, report.errors)
    for flag, text in texts:
        if text:
            flags |= flag
            parts += [_LENGTH.pack(len(text)), text]
    return b"".join(parts), fds, flags


def _packet(body: bytes, fds: list[int]) -> Packet:
    if len(body) <= frames.PACKET_BYTES:
        return Packet(_IN_PACKET + body, fds)
    segment = Segment.of([body], len(body))
    return Packet(_IN_SEGMENT, [segment.fileno(), *fds], segment)


def opened(packet: bytes, fds: list[int]) -> bytes | memoryview:
    """The body of a report that came in a packet. Takes the descriptor that holds it out of ``fds``."""
    if packet[:1] == _IN_SEGMENT:
        fd = fds.pop(0)
        return Segment(fd, os.fstat(fd).st_size).map_private()
    return packet[1:]


def decoded(head: ResultHead, body: bytes | memoryview, fds: list[int]) -> Report:
    """The report of a frame and its body. Takes the descriptors that its segments own out of ``fds``.

    Raises whatever reading garbage raises; what is in ``fds`` then has no owner.
    """
    if head.flags == IS_PLAIN:
        assert isinstance(body, bytes)
        blob = Blob((len(body),), body)
        return Report(head.status, blob, None, "", b"", b"", head.duration_s, head.importing_ticks * frames.TICK_S)
    value, offset = _read_blob(body, 0, fds)
    new_state = None
    if head.flags & HAS_NEW_STATE:
        new_state, offset = _read_blob(body, offset, fds)
    texts = []
    for flag in (HAS_WARNING, HAS_OUTPUT, HAS_ERRORS):
        text = b""
        if head.flags & flag:
            text, offset = _read_text(body, offset)
        texts.append(text)
    warning, output, errors = texts
    return Report(
        head.status,
        value,
        new_state,
        warning.decode(errors="replace"),
        output,
        errors,
        head.duration_s,
        head.importing_ticks * frames.TICK_S,
    )


def _read_blob(view: bytes | memoryview, offset: int, fds: list[int]) -> tuple[Blob, int]:
    blob, offset, taken = Blob.read_from(view, offset, fds, 0)
    del fds[:taken]
    return blob, offset


def _read_text(view: bytes | memoryview, offset: int) -> tuple[bytes, int]:
    length = _LENGTH.unpack_from(view, offset)[0]
    start = offset + _LENGTH.size
    return bytes(view[start : start + length]), start + length
