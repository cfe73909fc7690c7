# SPDX-License-Identifier: Apache-2.0
"""Starts the zygote and tells it what to do: fork a worker, signal one, leave."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

from flamepy.core.binding import Binding

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from flamepy.worker.zygote import main; main(*json.loads(sys.argv[2]))"
)
LEAVE_S = 5.0  # how long the zygote may take to end its workers and to remove the scratch directory


class Launcher:
    """The engine's end of the zygote. Used by the engine's thread only, after construction."""

    def __init__(self, results_fd: int, board_fd: int, scratch: str) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._log = Path(scratch) / "zygote.log"
        fds = [theirs.fileno(), results_fd, board_fd]
        arguments = [*fds, os.getpid(), scratch]
        try:
            # a session of its own: the kernel's interrupt goes to the kernel's whole process group
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, json.dumps(sys.path), json.dumps(arguments)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    pass_fds=fds,
                    start_new_session=True,
                )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._control = ours

    def fileno(self) -> int:
        """Becomes readable when the zygote has ended."""
        return self._control.fileno()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, worker_id: int, slot: int, binding: Binding, fds: list[int]) -> None:
        """Start a worker. Raises OSError when the zygote is gone."""
        socket.send_fds(self._control, [pickle.dumps(("fork", worker_id, slot, binding))], fds)

    def signal(self, worker_id: int, number: signal.Signals) -> None:
        """Send a signal to a worker; SIGKILL goes to everything that it started as well. Silent when it has ended."""
        with contextlib.suppress(OSError):
            self._control.send(pickle.dumps(("signal", worker_id, int(number))))

    def remove(self, path: str) -> None:
        """Have a directory below the scratch directory removed, without waiting for it."""
        with contextlib.suppress(OSError):
            self._control.send(pickle.dumps(("remove", path)))

    def close(self) -> None:
        """Have it end all workers, and wait for that; kill it when it takes longer than LEAVE_S."""
        self._control.close()
        try:
            self._process.wait(LEAVE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """How it ended, for an error: its exit code and the last line that it wrote."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
        return ": ".join([f"exit code {self._process.returncode}", *lines[-1:]])

    def abandon(self) -> None:
        """In a forked child: let go of the parent's zygote without touching it."""
        self._control.close()
        self._process.returncode = 0  # it is not this process's child: nobody must wait for it here
