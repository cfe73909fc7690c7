# SPDX-License-Identifier: Apache-2.0
"""The floor: a process that does what any worker must do, and nothing else.

One frame over a packet socket, pickled both ways, both ends with one thread. The worker polls, because a real one waits
for more than one thing. Run as a script, this is the worker's end.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import TracebackType

_HEAD = struct.Struct("<IBQ")  # body length, kind, call number
_PACKET_BYTES = 65536
_CALL = 1
# macOS has no packets here; frames as small as these come in one piece all the same
_SOCKET_KIND = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
_END_S = 5.0


class BareWorker:
    """The caller's end."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, _SOCKET_KIND)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # as our workers: on a loaded machine Linux shares CPUs by session
            )
        self._calls = 0

    def call(self) -> object:
        self.send()
        return self.receive()

    def send(self, *cpu_s: float) -> None:
        """Ask to burn that; nothing is a no-op."""
        body = pickle.dumps(cpu_s)
        self._calls += 1
        self._socket.send(_HEAD.pack(len(body), _CALL, self._calls) + body)

    def receive(self) -> object:
        return pickle.loads(memoryview(self._socket.recv(_PACKET_BYTES))[_HEAD.size :])

    def fileno(self) -> int:
        return self._socket.fileno()

    def echo(self) -> None:
        """One byte there and back: the socket alone."""
        self._socket.send(b"\0")
        self._socket.recv(1)

    @contextlib.contextmanager
    def pinned(self, *, is_one_cpu: bool) -> Iterator[bool]:
        """Both ends on one CPU, or each on its own; False where that cannot be. Left alone, it is either of the two."""
        cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
        if len(cpus) < 2:
            yield False
            return
        os.sched_setaffinity(self._process.pid, {cpus[0] if is_one_cpu else cpus[1]})
        os.sched_setaffinity(0, {cpus[0]})  # this thread only
        try:
            yield True
        finally:
            os.sched_setaffinity(0, cpus)
            os.sched_setaffinity(self._process.pid, cpus)

    def __enter__(self) -> BareWorker:
        self.call()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()
        self._process.wait(_END_S)


def share(cpu_s: float, calls: int, workers: Sequence[BareWorker]) -> None:
    """Give each worker the next call as soon as it has ended one: nothing can be done sooner."""
    idle = list(workers)
    busy: list[BareWorker] = []
    left = calls
    while left or busy:
        while idle and left:
            worker = idle.pop()
            worker.send(cpu_s)
            busy.append(worker)
            left -= 1
        ready, _, _ = select.select(busy, [], [])
        for worker in ready:
            worker.receive()
            busy.remove(worker)
            idle.append(worker)


def burn(cpu_s: float) -> None:
    """Use ``cpu_s`` seconds of CPU time."""
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        pass


def _serve(connection: socket.socket) -> None:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while True:
        poll.poll()
        packet = connection.recv(_PACKET_BYTES)
        if not packet:
            return
        if len(packet) == 1:
            connection.send(packet)
            continue
        _, kind, number = _HEAD.unpack_from(packet)
        for cpu_s in pickle.loads(memoryview(packet)[_HEAD.size :]):
            burn(cpu_s)
        body = pickle.dumps(None)
        connection.send(_HEAD.pack(len(body), kind, number) + body)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
