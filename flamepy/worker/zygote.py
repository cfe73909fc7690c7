# SPDX-License-Identifier: Apache-2.0
"""The parent of all workers: one small process per engine that forks a worker in a millisecond or two.

It is single-threaded and runs no user code, so forking it is safe. It outlives a killed kernel just long enough
to end every worker (with its whole process group) and to remove the engine's scratch directory.

The engine starts it by name (``python -c "...main(...)"``) with two descriptors: a packet socket for commands and
the write end of the result pipe. Commands are pickled tuples:

    ("fork", worker_id, slot, binding)   + descriptors: the worker's end of its socket, its output file
                                           binding: the pickled Binding, or its length when it is in a third descriptor
    ("signal", worker_id, signal number)
    ("remove", directory)
    ("leave",)

A worker's end is reported as a DEATH frame in the result pipe, behind all results that it wrote before.
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
from dataclasses import dataclass, field

from flamepy.codec import frames
from flamepy.core.binding import Binding
from flamepy.worker import main as worker_main
from flamepy.worker.authkey import take_authkey
from flamepy.worker.parent import die_with_parent

_COMMAND_BYTES = 1 << 20


@dataclass
class _Children:
    """The workers that are alive: process id by worker id and back."""

    pid_of: dict[int, int] = field(default_factory=dict)
    worker_of: dict[int, int] = field(default_factory=dict)

    def add(self, worker_id: int, pid: int) -> None:
        self.pid_of[worker_id] = pid
        self.worker_of[pid] = worker_id

    def remove(self, pid: int) -> int | None:
        worker_id = self.worker_of.pop(pid, None)
        if worker_id is not None:
            del self.pid_of[worker_id]
        return worker_id


def main(control_fd: int, results_fd: int, board_fd: int, kernel_pid: int, scratch: str, authkey: bytes | None) -> None:
    """Serve commands until the engine says leave, or its process is gone; then end the workers and clean up.

    authkey: of multiprocessing in the kernel, when it is in use there: workers have the same.
    """
    if authkey is not None:
        take_authkey(authkey)
    # whoever stops everything stops the kernel too, and its end is what ends the zygote
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.environ.pop("FLAME_STARTER_PID", None)  # it has told that this is a zygote, and no program run by mistake
    control = socket.socket(fileno=control_fd)
    board = mmap.mmap(board_fd, 0)
    os.close(board_fd)
    children = _Children()
    try:
        _serve(control, results_fd, board, kernel_pid, children)
    finally:
        _end_all(children)
        _remove_tree(scratch)
    # no interpreter clean-up: nothing is left to flush, and the engine waits for this end
    os._exit(0)


def _serve(control: socket.socket, results_fd: int, board: mmap.mmap, kernel_pid: int, children: _Children) -> None:
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    os.set_blocking(wake_read, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poller = select.poll()
    poller.register(control, select.POLLIN)
    poller.register(wake_read, select.POLLIN)
    kernel_fd = _watch_process(kernel_pid)
    if kernel_fd is not None:
        poller.register(kernel_fd, select.POLLIN)
    importlib.import_module(
        "flamepy.codec.byvalue"
    )  # nearly every worker needs it; here it is paid once, and its pages shared
    gc.collect()
    gc.freeze()
    while True:
        ready = {fd for fd, _ in poller.poll()}
        if kernel_fd in ready:
            return
        if wake_read in ready:
            with contextlib.suppress(BlockingIOError):
                os.read(wake_read, 4096)
            _reap(children, results_fd)
        if control.fileno() in ready:
            data, fds, _, _ = socket.recv_fds(control, _COMMAND_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
            if not data:
                return
            command = pickle.loads(data)
            if command[0] == "leave":
                return
            if command[0] == "signal":
                _signal(children, command[1], command[2])
            elif command[0] == "remove":
                _remove(command[1])
            elif command[0] == "fork":
                _, worker_id, slot, binding = command
                if isinstance(binding, int):
                    binding = os.pread(fds[2], binding, 0)
                pid = os.fork()
                if pid == 0:
                    _become_worker(
                        worker_id,
                        slot,
                        pickle.loads(binding),
                        fds,
                        results_fd,
                        board,
                        control,
                        (wake_read, wake_write, kernel_fd),
                    )
                children.add(worker_id, pid)
                _tell(results_fd, frames.BIRTH, worker_id, pid)
                for fd in fds:
                    os.close(fd)
                _reap(children, results_fd)  # it may have ended before it was known


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


def _become_worker(
    worker_id: int,
    slot: int,
    binding: Binding,
    fds: list[int],
    results_fd: int,
    board: mmap.mmap,
    control: socket.socket,
    others: tuple[int | None, ...],
) -> None:
    """In the forked child: cut every tie to the zygote, then run the worker. Never returns."""
    exit_code = 1
    try:
        zygote_pid = os.getppid()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.setsid()  # a process group of its own: what the user's code starts can be ended with it
        die_with_parent(zygote_pid)
        control.close()
        for fd in others:
            if fd is not None:
                os.close(fd)
        exit_code = worker_main.run(worker_id, slot, binding, socket.socket(fileno=fds[0]), fds[1], results_fd, board)
    except BaseException:  # noqa: BLE001 - a forked child must never return into the zygote's loop
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(exit_code)


def _signal(children: _Children, worker_id: int, number: int) -> None:
    pid = children.pid_of.get(worker_id)
    if pid is None:
        return
    with contextlib.suppress(ProcessLookupError):
        if number == signal.SIGKILL:
            _kill_group(pid)
        else:
            os.kill(pid, number)  # an interrupt is for the worker alone: it decides what to do with its children


def _kill_group(pid: int) -> None:
    for kill in (os.killpg, os.kill):  # the group does not exist yet in the instant between fork and setsid
        with contextlib.suppress(ProcessLookupError, PermissionError):
            kill(pid, signal.SIGKILL)


def _remove(path: str) -> None:
    """Remove a directory in a child, so that a big one delays no fork."""
    if os.fork() == 0:
        _remove_tree(path)
        os._exit(0)


def _remove_tree(path: str) -> None:
    import shutil  # here, because it takes 2 ms to load, and the first worker waits for what is loaded at the start

    shutil.rmtree(path, ignore_errors=True)


def _reap(children: _Children, results_fd: int) -> None:
    """Collect every ended worker, end what it started, and report it behind its own results."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        worker_id = children.remove(pid)
        if worker_id is None:  # a child that removed a directory
            continue
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        exit_code = float(os.waitstatus_to_exitcode(status))
        _tell(results_fd, frames.DEATH, worker_id, pid, exit_code)


def _tell(results_fd: int, kind: int, worker_id: int, pid: int, exit_code: float = 0.0) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(results_fd, frames.RESULT_HEAD.pack(frames.RESULT_HEAD.size, kind, 0, 0, 0, worker_id, pid, exit_code))


def _end_all(children: _Children) -> None:
    for pid in list(children.worker_of):
        _kill_group(pid)
    for pid in list(children.worker_of):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
