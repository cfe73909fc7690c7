# SPDX-License-Identifier: Apache-2.0
"""The engine's end of one worker: a packet socket that calls go down, and that big results come up.

The engine keeps the worker's end too: it can take back calls that the worker has not picked up yet.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable

from flamepy.cache.holes import allocated_bytes, punch
from flamepy.core.descriptors import received_descriptors, too_few_descriptors
from flamepy.engine.local.link.nonblocking import send_now
from flamepy.protocol import frames
from flamepy.protocol.calls import CallFrame, packet_of, plain_packet
from flamepy.protocol.commands import LEAVE_PACKET, Command, Keep, command_packet
from flamepy.protocol.report import Report, decoded, opened

_ANCILLARY_BYTES = socket.CMSG_SPACE(frames.FDS_PER_PACKET * 4)
_CLOEXEC, _CTRUNC = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)  # plain numbers: these are used per call


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
        return send_now(self._fd, plain_packet(session_number, calls))

    def send_call(self, call: CallFrame) -> bool:
        """Hand over one call; False when the socket is full or the worker is gone: keep it, and try again later."""
        packet, fds, _segment = packet_of(call)  # named, so that its descriptor is open until it is sent
        return self._send(packet, fds)

    def tell(self, command: Command) -> bool:
        """Have the worker heed this; False as for ``send_call``."""
        packet, blob = command_packet(command)
        fds = [] if blob is None or blob.segment is None else [blob.segment.fileno()]
        return self._send(packet, fds)

    def _send(self, packet: bytes, fds: list[int]) -> bool:
        try:
            if not fds:
                return send_now(self._fd, packet)
            socket.send_fds(self._ours, [packet], fds)
        except OSError:  # full (EAGAIN), or closed at the other end
            return False
        return True

    def send_leave(self) -> None:
        self._send(LEAVE_PACKET, [])

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
        self.tell(Keep(recalls, number))
        for packet in forgets:
            self._send(packet, [])

    def read_report(self, head: frames.ResultHead, body: bytes) -> Report:
        """Read a report whose frame came through the pipe.

        Raises FlameError when this process has no room for its descriptors, and OSError (or what reading garbage
        raises) when the worker has not sent what the frame announces.
        """
        if head.kind == frames.RESULT:
            return decoded(head, body, [])
        fds: list[int] = []
        try:
            return decoded(head, self._receive_body(fds), fds)
        except BaseException:
            _close_all(fds)
            raise

    def _receive_body(self, fds: list[int]) -> bytes | memoryview:
        packet, ancillary, flags, _ = self._ours.recvmsg(frames.PACKET_BYTES + 1, _ANCILLARY_BYTES, _CLOEXEC)
        fds += received_descriptors(ancillary)
        if flags & _CTRUNC:
            raise too_few_descriptors("cannot take the result of the call")
        return opened(packet, fds)

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
        """Idempotent: where a step after it fails, it is done again."""
        self._ours.close()
        self._theirs.close()
        output_fd, self._output_fd = self._output_fd, -1
        if output_fd >= 0:
            os.close(output_fd)


def _close_all(fds: Iterable[int]) -> None:
    for fd in fds:
        os.close(fd)
