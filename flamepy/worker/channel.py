# SPDX-License-Identifier: Apache-2.0
"""A worker's two ways to the engine: calls come in on its socket, reports leave through the shared pipe."""

from __future__ import annotations

import os
import select
import socket

from flamepy.clock import monotonic_s
from flamepy.core.descriptors import received_descriptors
from flamepy.protocol import frames
from flamepy.protocol.calls import CallFrame, damaged_call, read_calls
from flamepy.protocol.commands import Command, read_command
from flamepy.protocol.report import Report, encoded

# plain numbers: each operation on socket's enumerations takes as long as a system call
_CLOEXEC, _CTRUNC = int(socket.MSG_CMSG_CLOEXEC), int(socket.MSG_CTRUNC)
_CLOEXEC_NOW = _CLOEXEC | int(socket.MSG_DONTWAIT)
_ANCILLARY_BYTES = socket.CMSG_SPACE(frames.FDS_PER_PACKET * 4)


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

    def receive(self) -> list[CallFrame] | Command | None:
        """The next message; None when the engine has gone or asks to leave."""
        packet, ancillary, flags, _ = self._next_packet()
        if not packet:
            return None
        fds = received_descriptors(ancillary) if ancillary else []
        if packet[0] != frames.CALL:
            return read_command(packet, fds)
        return [damaged_call(packet, fds)] if flags & _CTRUNC else read_calls(packet, fds)

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

    def report(self, number: int, report: Report) -> None:
        """Tell how the call of this number ended: all of it in one message, so all is known or nothing."""
        frame, packet = encoded(report, worker_id=self._worker_id, number=number)
        if packet is not None:
            socket.send_fds(self._calls, [packet.data], packet.fds)
        os.write(self._results_fd, frame)
