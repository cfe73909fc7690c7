# SPDX-License-Identifier: Apache-2.0
"""The workers of a zygote, from their birth to the end of the last process that they have started.

A worker that is told to leave ends as a Python program does. What it has started, such as the resource trackers and
managers of multiprocessing, gets a moment to clean up after it; what takes longer is killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from flamepy.clock import monotonic_s
from flamepy.protocol import frames
from flamepy.protocol.app_directory import give_up_directory

EXIT_S = 2.0  # for a worker, at the end of the engine: time for its atexit handlers and finalizers
_AFTERMATH_S = 1.5  # for what a worker has started, once it has ended
_KILLED_S = 0.5  # for what was killed: a process that its parent does not wait for, or a hanging disk, may hold it up
LOOK_S = 0.01  # how often to look whether that has ended

Report = Callable[[int, int, int, float], None]  # kind of frame, worker id, process id, exit code


@dataclass
class Children:
    """report: tells the engine of the birth or the end of a worker."""

    report: Report
    _pid_of: dict[int, int] = field(default_factory=dict)  # by worker id
    _worker_of: dict[int, int] = field(default_factory=dict)  # by process id
    _kill_at_s: dict[int, float] = field(default_factory=dict)  # by process group of an ended worker
    _unpacks_into: dict[int, str] = field(default_factory=dict)  # directories, by the process id that fills them

    def add(self, worker_id: int, pid: int) -> None:
        """This process was forked to be this worker."""
        self._pid_of[worker_id] = pid
        self._worker_of[pid] = worker_id
        self._kill_at_s.pop(pid, None)  # a number that comes again
        self.report(frames.BIRTH, worker_id, pid, 0.0)

    def add_unpacker(self, pid: int, root: str) -> None:
        """This process was forked to unpack a package into ``root``."""
        self._unpacks_into[pid] = root

    def end_unpacker(self, root: str | None = None) -> None:
        """What is being unpacked there, or anywhere, is not needed any more: workers wait for it no longer."""
        for pid, its_root in list(self._unpacks_into.items()):
            if root in (None, its_root):
                give_up_directory(its_root)
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
                del self._unpacks_into[pid]

    def signal(self, worker_id: int, number: int) -> None:
        """Send a signal to a worker, not to its children: it decides what to do with them, or they follow it."""
        pid = self._pid_of.get(worker_id)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def reap(self) -> None:
        """Report every ended worker, behind its own results, and have what it started end too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker_id = self._worker_of.pop(pid, None)
            self._unpacks_into.pop(pid, None)
            if worker_id is None:  # something that a worker left, or a child that filled or removed a directory
                continue
            del self._pid_of[worker_id]
            self.end_group(pid)
            self.report(frames.WORKER_EXIT, worker_id, pid, float(os.waitstatus_to_exitcode(status)))

    def end_group(self, group: int) -> None:
        """Have what an ended worker has started end too, and kill it when it takes too long."""
        # trackers ignore it and end when no process uses them any more
        if _signal_group(group, signal.SIGTERM):
            self._kill_at_s[group] = monotonic_s() + _AFTERMATH_S

    def has_aftermath(self) -> bool:
        """Are processes of ended workers still there? Then ``end_aftermath`` has to be called now and then."""
        return bool(self._kill_at_s)

    def end_aftermath(self) -> None:
        """Kill what has not ended in time after its worker."""
        now_s = monotonic_s()
        for group, at_s in list(self._kill_at_s.items()):
            is_there = _signal_group(group, signal.SIGKILL if now_s >= at_s else 0)
            if not is_there or now_s >= at_s + _KILLED_S:
                del self._kill_at_s[group]

    def end_all(self, wait: Callable[[float], object]) -> None:
        """Wait until the workers, which know that they have to leave, have ended; kill those that take too long.

        wait: sleeps for so many seconds, or until a child ends.
        """
        deadline_s = monotonic_s() + EXIT_S
        self.reap()
        while self._worker_of or self._kill_at_s:
            now_s = monotonic_s()
            if now_s >= deadline_s + _KILLED_S and not self._kill_at_s:
                return
            if now_s >= deadline_s:
                for pid in self._worker_of:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            wait(LOOK_S)
            self.reap()
            self.end_aftermath()


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to the group of an ended worker; False when no process is left in it."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
