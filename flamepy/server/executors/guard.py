# SPDX-License-Identifier: Apache-2.0
"""What is left when the server has ended, however it ended: this small program removes it.

It is a process of its own, which reads from a pipe that only the server holds. A line ``add N`` or ``drop N`` names a
process group of a worker. At the end of the pipe it kills the groups that are left, and removes the directories that it
was started with. It needs nothing but the standard library, and starts in a few milliseconds.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys

LEAVE_S = 10.0  # for the removal of unpacked packages and of values on a slow disk


class Guard:
    """The server's end of it."""

    def __init__(self, *directories: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, *directories],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # a terminal's interrupt is not for it
        )

    def add(self, group: int) -> None:
        self._tell(f"add {group}")

    def drop(self, group: int) -> None:
        """It has ended: its number may come again for a process that is not ours."""
        self._tell(f"drop {group}")

    def close(self) -> None:
        """Return when nothing is left."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):  # it goes on without us
            self._process.wait(LEAVE_S)

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it was killed: what it did at the end stays undone
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()


def _guard(directories: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        word, _, number = line.partition(" ")
        (groups.add if word == "add" else groups.discard)(int(number))
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    _guard(sys.argv[1:])
