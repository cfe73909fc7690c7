# SPDX-License-Identifier: Apache-2.0
"""The engine's end of one worker: a packet socket that calls go down, and that big results come up.

The engine keeps the worker's end too: it can take back calls that the worker has not picked up yet.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from flamepy.cache.blob import Blob
from flamepy.cache.descriptors import received_descriptors, too_few_descriptors
from flamepy.cache.holes import allocated_bytes, punch
from flamepy.cache.segment import Segment
from flamepy.codec.payload import Payload
from flamepy.engine.local.link.import_path import ImportPath
from flamepy.engine.local.link.nonblocking import send_now
from flamepy.protocol import frames

_ANCILLARY_BYTES = socket.CMSG_SPACE(frames.FDS_PER_PACKET * 4)
_CLOEXEC, _CTRUNC = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)  # plain numbers: these are used per call
_LENGTH = struct.Struct("<I")
_CALL_HEAD = frames.CALL_HEAD.pack


@dataclass(slots=True)
class Report:
    """What a worker says about a call. body: its value or Failure."""

    body: Blob
    new_state: Blob | None = None
    warning: str = ""
    output: bytes = b""
    errors: bytes = b""


class WorkerLink:
    """Never blocks. Used by the engine's thread only, but for ``output_tail``."""

    def __init__(self, ours: socket.socket, theirs: socket.socket, output_fd: int) -> None:
        self._ours = ours
        self._theirs = theirs
        self._output_fd = output_fd
        self._fd = ours.fileno()
        ours.setblocking(False)

    def send_plain(self, session_number: int, calls: Iterable[tuple[int, bytes]]) -> bool:
        """Hand over calls (sending number, request) in one packet; False as for ``send_call``, then none has gone."""
        parts: list[bytes] = []
        for number, request in calls:
            parts.append(_CALL_HEAD(frames.CALL, frames.IS_PLAIN, session_number, number, 0, len(request)))
            parts.append(request)
        return send_now(self._fd, b"".join(parts))

    def send_call(
        self,
        number: int,
        session_number: int,
        request: Blob,
        dependencies: list[Blob],
        definition: Blob | None,
        checkpoint: Blob | None,
    ) -> bool:
        """Hand over one call; False when the socket is full or the worker is gone: keep it, and try again later."""
        flags = 0
        blobs = [request, *dependencies]
        if checkpoint is not None:
            flags |= frames.HAS_CHECKPOINT
            blobs.insert(0, checkpoint)
        if definition is not None:
            flags |= frames.HAS_DEFINITION
            blobs.insert(0, definition)
        if sum(blob.segment is not None for blob in blobs) > frames.FDS_PER_PACKET - 1:
            blobs = [blob.in_place() for blob in blobs]  # more descriptors than one packet carries
        parts: list[bytes] = [b""]
        fds: list[int] = []
        for blob in blobs:
            blob.write_to(parts, fds)
        length = sum(map(len, parts))
        segment = None
        if length > frames.PACKET_BYTES - frames.CALL_HEAD.size:
            flags |= frames.BODY_AWAY
            segment = Segment.of(parts, length)
            parts = [b"", frames.WORD.pack(length)]
            fds.insert(0, segment.fileno())
        parts[0] = _CALL_HEAD(frames.CALL, flags, session_number, number, len(dependencies), 0)
        return self._send(b"".join(parts), fds)

    def _send(self, frame: bytes, fds: list[int]) -> bool:
        try:
            if not fds:
                return send_now(self._fd, frame)
            socket.send_fds(self._ours, [frame], fds)
        except OSError:  # full (EAGAIN), or closed at the other end
            return False
        return True

    def send_import_path(self, path: ImportPath) -> bool:
        """Have the worker import from there from now on; False as for ``send_call``."""
        parts: list[bytes] = [bytes([frames.PATH])]
        fds: list[int] = []
        content = Blob.of(Payload(pickle.dumps(tuple(path))))
        content.write_to(parts, fds)
        return self._send(b"".join(parts), fds)

    def send_authkey(self, authkey: bytes) -> bool:
        """Have the worker authenticate with the key of this process's multiprocessing; False as for ``send_call``."""
        return self._send(bytes([frames.AUTHKEY]) + authkey, [])

    def send_leave(self) -> None:
        self._send(bytes([frames.LEAVE]), [])

    def send_forget(self, session_number: int) -> bool:
        return self._send(_CALL_HEAD(frames.FORGET, 0, session_number, 0, 0, 0), [])

    def answer_recall(self, recalls: int, number: int) -> None:
        """After ``WorkerStatusTable.recall``: the worker keeps the call of this number (0 = none) and drops the others.

        Calls that it has not picked up are dropped here.
        """
        forgets = []
        while True:
            try:
                packet, ancillary, _, _ = self._theirs.recvmsg(
                    frames.PACKET_BYTES, _ANCILLARY_BYTES, socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
                )
            except OSError:
                break
            if not packet:
                break
            _close_all(received_descriptors(ancillary))
            if packet[0] == frames.FORGET:
                forgets.append(packet)
        for packet in (frames.KEEP_HEAD.pack(frames.KEEP, recalls, number), *forgets):
            self._send(packet, [])

    def read_report(self, head: frames.ResultHead, body: bytes) -> Report:
        """Read a report whose frame came through the pipe.

        Raises FlameError when this process has no room for its descriptors, and OSError (or what reading garbage
        raises) when the worker has not sent what the frame announces.
        """
        if head.flags == frames.IS_PLAIN:
            return Report(Blob((len(body),), body))
        fds: list[int] = []
        next_fd = 0
        view: bytes | memoryview = body
        try:
            if head.kind == frames.RESULT_AWAY:
                view = self._receive_away(fds)
            blob, offset, next_fd = Blob.read_from(view, 0, fds, next_fd)
            new_state = None
            if head.flags & frames.HAS_NEW_STATE:
                new_state, offset, next_fd = Blob.read_from(view, offset, fds, next_fd)
        except BaseException:
            _close_all(fds[next_fd:])  # those before it belong to the segments that were made of them
            raise
        warning = output = errors = b""
        if head.flags & frames.HAS_WARNING:
            warning, offset = _read_text(view, offset)
        if head.flags & frames.HAS_OUTPUT:
            output, offset = _read_text(view, offset)
        if head.flags & frames.HAS_ERRORS:
            errors, offset = _read_text(view, offset)
        return Report(blob, new_state, warning.decode(errors="replace"), output, errors)

    def _receive_away(self, fds: list[int]) -> bytes | memoryview:
        frame, ancillary, flags, _ = self._ours.recvmsg(frames.PACKET_BYTES + 1, _ANCILLARY_BYTES, _CLOEXEC)
        fds += received_descriptors(ancillary)
        if flags & _CTRUNC:
            _close_all(fds)
            raise too_few_descriptors("cannot take the result of the call")
        if frame[:1] == b"\1":
            fd = fds.pop(0)
            return Segment(fd, os.fstat(fd).st_size).map_private()
        return frame[1:]

    def output_tail(self, begin: int) -> bytes:
        """The end of what the running call has printed so far, from the offset ``begin`` on. From any thread."""
        try:
            size = os.fstat(self._output_fd).st_size
            if size < begin:  # the code has emptied the file: it has opened /dev/stdout to write
                begin = 0
            return os.pread(self._output_fd, frames.OUTPUT_TAIL_BYTES, max(begin, size - frames.OUTPUT_TAIL_BYTES))
        except OSError:  # closed meanwhile
            return b""

    def bound_output(self) -> bool:
        """Free the disk space of all but the end of what the call has printed; was it much?

        What Python code prints the worker bounds itself; child processes and native code write past it.
        """
        if allocated_bytes(self._output_fd) <= frames.OUTPUT_ON_DISK_BYTES:
            return False
        punch(self._output_fd, os.fstat(self._output_fd).st_size - frames.OUTPUT_TAIL_BYTES)
        return True

    def close(self) -> None:
        self._ours.close()
        self._theirs.close()
        os.close(self._output_fd)
        self._output_fd = -1


def _read_text(view: bytes | memoryview, offset: int) -> tuple[bytes, int]:
    length = _LENGTH.unpack_from(view, offset)[0]
    start = offset + _LENGTH.size
    return bytes(view[start : start + length]), start + length


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
