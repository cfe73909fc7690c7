# SPDX-License-Identifier: Apache-2.0
"""The parent of all workers: one small process per engine that forks a worker in a millisecond or two.

It is single-threaded and runs no user code, so forking it is safe. It outlives a killed kernel just long enough
to end every worker (with what it has started) and to remove the engine's scratch directory.

The engine starts it by name (``python -c "...main(...)"``) with two descriptors: a packet socket for commands and
the write end of the result pipe. Commands are pickled tuples:

    ("fork", worker_id, slot, specification)   + descriptors: the worker's end of its socket, its output file
                                           specification: the pickled WorkerSpecification, or its length when it is in
                                           a third descriptor
    ("signal", worker_id, signal number)
    ("end", process group)               of a worker that ended together with an earlier zygote
    ("unpack", archive, directory, application)
    ("remove", directory)
    ("leave",)

A worker's end is reported as a WORKER_EXIT frame in the result pipe, behind all results that it wrote before.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import mmap
import os
import pickle
import select
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from flamepy.errors import FlameError
from flamepy.protocol import frames
from flamepy.protocol.app_directory import remove_directory, remove_tree, unpack_once
from flamepy.protocol.worker_specification import WorkerSpecification
from flamepy.worker import main as worker_main
from flamepy.worker.processes.authkey import take_authkey
from flamepy.worker.processes.children import LOOK_S, Children
from flamepy.worker.processes.parent import adopt_orphans, die_with_parent

_COMMAND_BYTES = 1 << 20


def main(control_fd: int, results_fd: int, status_fd: int, kernel_pid: int, scratch: str, authkey: bytes | None) -> int:
    """Serve commands until the engine says leave, or its process is gone; then end the workers and clean up.

    authkey: of multiprocessing in the kernel, when it is in use there: workers have the same.
    Returns in the workers only, with the exit code of each: so they end as any Python program does.
    """
    if authkey is not None:
        take_authkey(authkey)
    # what stops everything stops the kernel too, and its end is what ends the zygote
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("FLAME_STARTER_PID", None)  # it has told that this is a zygote, and no program run by mistake
    adopt_orphans()
    zygote = Zygote(control_fd, results_fd, status_fd, kernel_pid)
    try:
        worker = zygote.serve()
        if worker is None:
            zygote.end_workers()
    except BaseException:
        remove_tree(scratch)
        raise
    if worker is not None:
        del zygote  # what it has open was closed in the worker
        return worker()
    remove_tree(scratch)
    # no interpreter clean-up: nothing is left to flush, and the engine waits for this end
    os._exit(0)


class Zygote:
    """Its descriptors and its loop."""

    def __init__(self, control_fd: int, results_fd: int, status_fd: int, kernel_pid: int) -> None:
        self._control = socket.socket(fileno=control_fd)
        self._results_fd = results_fd
        self._status_table = mmap.mmap(status_fd, 0)
        os.close(status_fd)
        self._kernel_fd = _watch_process(kernel_pid)
        self._children = Children(partial(_tell, results_fd))
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def serve(self) -> Callable[[], int] | None:
        """None when it has to end; in a forked child what the child has to run."""
        poller = select.poll()
        poller.register(self._control, select.POLLIN)
        poller.register(self._wake_read, select.POLLIN)
        if self._kernel_fd is not None:
            poller.register(self._kernel_fd, select.POLLIN)
        # nearly every worker needs it: it is paid here once, and its pages are shared
        importlib.import_module("flamepy.codec.byvalue")
        gc.collect()
        gc.freeze()
        while True:
            ready = {fd for fd, _ in poller.poll(LOOK_S * 1000 if self._children.has_aftermath() else None)}
            if self._kernel_fd in ready:
                return None
            if self._wake_read in ready:
                self._drain_wake_ups()
                self._children.reap()
            self._children.end_aftermath()
            if self._control.fileno() in ready:
                data, fds, _, _ = socket.recv_fds(self._control, _COMMAND_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
                command: tuple[Any, ...] = pickle.loads(data) if data else ("leave",)
                if command[0] == "leave":
                    return None
                if command[0] == "signal":
                    self._children.signal(command[1], command[2])
                elif command[0] == "end":
                    self._children.end_group(command[1])
                elif command[0] == "unpack":
                    self._unpack(*command[1:])
                elif command[0] == "remove":
                    self._children.end_unpacker(command[1])
                    _remove(command[1])
                elif command[0] == "fork":
                    worker = self._fork(command[1], command[2], command[3], fds)
                    if worker is not None:
                        return worker

    def end_workers(self) -> None:
        """The engine has told its workers to leave, or is gone, which they see; see that they do."""
        self._children.end_unpacker()
        self._children.end_all(lambda seconds: select.select([self._wake_read], [], [], seconds))

    def _fork(self, worker_id: int, slot: int, specification: bytes | int, fds: list[int]) -> Callable[[], int] | None:
        if isinstance(specification, int):
            specification = os.pread(fds[2], specification, 0)
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._cut_ties(zygote_pid)
            status_table, results_fd = self._status_table, self._results_fd
            return partial(_run_worker, worker_id, slot, pickle.loads(specification), fds, results_fd, status_table)
        self._children.add(worker_id, pid)
        for fd in fds:
            os.close(fd)
        self._children.reap()  # it may have ended before it was known
        return None

    def _unpack(self, archive: str, root: str, name: str) -> None:
        zygote_pid = os.getpid()
        pid = os.fork()
        if pid == 0:
            try:
                self._cut_ties(zygote_pid)
                with contextlib.suppress(FlameError):  # a worker that needs the files will tell
                    unpack_once(archive, root, name)
            finally:
                os._exit(0)
        self._children.add_unpacker(pid, root)

    def _cut_ties(self, zygote_pid: int) -> None:
        """In a forked child."""
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()  # a process group of its own: what the user's code starts can be ended with it
        die_with_parent(zygote_pid)
        self._control.close()
        for fd in (self._wake_read, self._wake_write, self._kernel_fd):
            if fd is not None:
                os.close(fd)

    def _drain_wake_ups(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)


def _run_worker(
    worker_id: int,
    slot: int,
    specification: WorkerSpecification,
    fds: list[int],
    results_fd: int,
    status_table: mmap.mmap,
) -> int:
    return worker_main.run(
        worker_id, slot, specification, socket.socket(fileno=fds[0]), fds[1], results_fd, status_table
    )


def _watch_process(pid: int) -> int | None:
    """A descriptor that becomes readable when the kernel's process ends.

    The end of the control socket alone is not enough: a forked child of the kernel keeps a copy of it open.
    """
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        sys.exit(0)
    except OSError:  # a kernel older than 5.3, or a sandbox that forbids it: the socket's end has to do
        return None


def _remove(path: str) -> None:
    """Remove a directory in a child, so that a big one delays no fork."""
    if os.fork() == 0:
        remove_directory(path)
        os._exit(0)


def _tell(results_fd: int, kind: int, worker_id: int, pid: int, exit_code: float) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(results_fd, frames.RESULT_HEAD.pack(frames.RESULT_HEAD.size, kind, 0, 0, 0, worker_id, pid, exit_code))
