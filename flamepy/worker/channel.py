# SPDX-License-Identifier: Apache-2.0
"""A worker's two ways to the engine: calls come in on its socket, reports leave through the shared pipe."""

from __future__ import annotations

import os
import pickle
import select
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from flamepy.cache.blob import Blob
from flamepy.cache.descriptors import received_descriptors, too_few_descriptors
from flamepy.cache.segment import Segment
from flamepy.clock import monotonic_s
from flamepy.errors import FlameError
from flamepy.protocol import frames
from flamepy.worker.outcome import Report

_LENGTH = struct.Struct("<I")
# plain numbers: each operation on socket's enumerations takes as long as a system call
_CLOEXEC, _CTRUNC = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)
_CLOEXEC_NOW = _CLOEXEC | int(socket.MSG_DONTWAIT)
_ANCILLARY_BYTES = socket.CMSG_SPACE(frames.FDS_PER_PACKET * 4)


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it
class CallFrame:
    """A call as it arrives. number: of this sending; definition: only with a session's first call in this worker.

    damage: why a part of it did not arrive; then the rest of it is not here either.
    """

    number: int
    session_number: int
    request: Blob
    dependencies: Sequence[Blob] = ()
    definition: Blob | None = None
    checkpoint: Blob | None = None
    damage: FlameError | None = None


@dataclass(frozen=True)
class Forget:
    """The session is closed: drop what it left here."""

    session_number: int


@dataclass(frozen=True)
class Keep:
    """The answer to a recall. recalls: how many there have been; number: of the call that stays here, 0 = none."""

    recalls: int
    number: int


class AuthKey(bytes):
    """What multiprocessing authenticates with in the caller, which uses it by now."""


class PathAround(NamedTuple):
    """The import path of the caller has changed: its entries before and behind the package."""

    before: tuple[str, ...]
    behind: tuple[str, ...]


class Channel:
    """Blocking; used by the worker's main thread only."""

    def __init__(self, worker_id: int, calls: socket.socket, results_fd: int) -> None:
        self._worker_id = worker_id
        self._calls = calls
        self._results_fd = results_fd
        self._is_hot = False  # did the last message come soon?
        self._poller = select.poll()
        self._poller.register(calls, select.POLLIN)

    def has_message(self, timeout_s: float) -> bool:
        """Is there a message, or will there be one within ``timeout_s``?"""
        return bool(self._poller.poll(timeout_s * 1000))

    def receive(self) -> list[CallFrame] | Forget | Keep | PathAround | AuthKey | None:
        """The next message; None when the engine has gone or asks to leave."""
        packet, ancillary, flags, _ = self._next_packet()
        kind = packet[0] if packet else frames.LEAVE
        if kind == frames.CALL:
            fds = received_descriptors(ancillary)
            return [_damaged_call(packet, fds)] if flags & _CTRUNC else _read_calls(packet, fds)
        if kind == frames.FORGET:
            return Forget(frames.CALL_HEAD.unpack_from(packet)[2])
        if kind == frames.KEEP:
            return Keep(*frames.KEEP_HEAD.unpack(packet)[1:])
        if kind == frames.AUTHKEY:
            return AuthKey(packet[1:])
        if kind == frames.PATH:
            content, _, _ = Blob.read_from(packet, 1, received_descriptors(ancillary), 0)
            return PathAround(*pickle.loads(content.payload().data))
        return None

    def abandon(self) -> None:
        """In a process that a call forked: let go of both ways, which are the worker's."""
        self._calls.close()
        os.close(self._results_fd)

    def _next_packet(self) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        began_s = now_s = monotonic_s()
        spin_until_s = began_s + frames.SPIN_S if self._is_hot else 0.0
        while now_s < spin_until_s:
            try:
                packet = self._calls.recvmsg(frames.PACKET_BYTES, _ANCILLARY_BYTES, _CLOEXEC_NOW)
            except BlockingIOError:
                now_s = monotonic_s()
            else:
                return packet
        packet = self._calls.recvmsg(frames.PACKET_BYTES, _ANCILLARY_BYTES, _CLOEXEC)
        self._is_hot = monotonic_s() - began_s < frames.HOT_S
        return packet

    def report(self, number: int, report: Report, output: bytes, errors: bytes, duration_s: float) -> None:
        """Tell how a call ended: value or failure, new state and output in one message, so all are known or none."""
        value = report.body.plain_bytes()
        importing = min(round(report.importing_s / frames.TICK_S), frames.MAX_TICKS) if report.importing_s else 0
        if value is not None and not (report.new_state or report.warning or output or errors):
            length = frames.RESULT_HEAD.size + len(value)
            if length <= frames.PIPE_FRAME_BYTES:
                plain = frames.RESULT_HEAD.pack(
                    length,
                    frames.RESULT,
                    report.status,
                    frames.IS_PLAIN,
                    importing,
                    self._worker_id,
                    number,
                    duration_s,
                )
                os.write(self._results_fd, plain + value)
                return
        flags = 0
        parts: list[bytes] = []
        fds: list[int] = []
        report.body.write_to(parts, fds)
        if report.new_state is not None:
            flags |= frames.HAS_NEW_STATE
            report.new_state.write_to(parts, fds)
        texts = (frames.HAS_WARNING, report.warning.encode()), (frames.HAS_OUTPUT, output), (frames.HAS_ERRORS, errors)
        for flag, text in texts:
            if text:
                flags |= flag
                parts += [_LENGTH.pack(len(text)), text]
        body = b"".join(parts)
        length = frames.RESULT_HEAD.size + len(body)
        if fds or length > frames.PIPE_FRAME_BYTES:
            self._send_away(body, fds)
            kind, length, body = frames.RESULT_AWAY, frames.RESULT_HEAD.size, b""
        else:
            kind = frames.RESULT
        head = frames.RESULT_HEAD.pack(
            length, kind, report.status, flags, importing, self._worker_id, number, duration_s
        )
        os.write(self._results_fd, head + body)

    def _send_away(self, body: bytes, fds: list[int]) -> None:
        if len(body) > frames.PACKET_BYTES:
            segment = Segment.of([body], len(body))
            socket.send_fds(self._calls, [b"\1"], [segment.fileno(), *fds])
        else:
            socket.send_fds(self._calls, [b"\0" + body], fds)


def _damaged_call(packet: bytes, fds: Sequence[int]) -> CallFrame:
    """The call of a packet whose descriptors did not all find a place in this process."""
    for fd in fds:
        os.close(fd)
    _, _, session_number, number, _, _ = frames.CALL_HEAD.unpack_from(packet)
    damage = too_few_descriptors("the worker cannot take the arguments of the call")
    return CallFrame(number, session_number, Blob((0,)), damage=damage)


def _read_calls(packet: bytes, fds: list[int]) -> list[CallFrame]:
    """Several plain calls, or one of any kind."""
    calls = []
    offset = 0
    while offset < len(packet):
        _, flags, session_number, number, dependency_count, length = frames.CALL_HEAD.unpack_from(packet, offset)
        offset += frames.CALL_HEAD.size
        if not flags & frames.IS_PLAIN:
            return [_read_call(packet, fds, flags, session_number, number, dependency_count)]
        calls.append(CallFrame(number, session_number, Blob((length,), packet[offset : offset + length])))
        offset += length
    return calls


def _read_call(
    packet: bytes, fds: list[int], flags: int, session_number: int, number: int, dependency_count: int
) -> CallFrame:
    body: bytes | memoryview = packet
    offset = frames.CALL_HEAD.size
    next_fd = 0
    if flags & frames.BODY_AWAY:
        body, offset, next_fd = Segment(fds[0], frames.WORD.unpack_from(packet, offset)[0]).map_private(), 0, 1
    blobs = []
    for _ in range(dependency_count + 1 + bool(flags & frames.HAS_DEFINITION) + bool(flags & frames.HAS_CHECKPOINT)):
        blob, offset, next_fd = Blob.read_from(body, offset, fds, next_fd)
        blobs.append(blob)
    definition = blobs.pop(0) if flags & frames.HAS_DEFINITION else None
    checkpoint = blobs.pop(0) if flags & frames.HAS_CHECKPOINT else None
    return CallFrame(number, session_number, blobs[0], blobs[1:], definition, checkpoint)
