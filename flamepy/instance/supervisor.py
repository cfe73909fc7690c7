# SPDX-License-Identifier: Apache-2.0
"""The process that an executor starts: it starts the one that serves, and starts it again when that was killed.

A cluster gives an executor to nobody else before its worker has answered that it leaves its session, and asks as long
as nobody answers: an executor whose worker was killed would be lost to everybody, until its node is started anew.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import BinaryIO

from flamepy.clock import monotonic_s
from flamepy.errors import describe_exit
from flamepy.worker.processes.parent import die_with_parent

_LOOK_S = 1.0  # between looks whether the executor's own process is there
_END_S = 15.0  # for one that is told to end
_PAUSE_S = 0.5  # before the next start: what kills at once would be a busy loop
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)


def supervised(serve: Callable[[BinaryIO], int], *, executor_pid: int) -> int:
    """The exit code of ``serve``, which runs in a child. Ends it when told to end, and when the executor has gone.

    serve: gets a file for what a successor must know; who has written nothing there has none.
    """
    with tempfile.TemporaryFile() as known, _Signals() as signals:
        while True:
            child = _started(serve, known, signals)
            code = _ended(child, executor_pid, signals)
            if code >= 0 or signals.is_told_to_end or not os.fstat(known.fileno()).st_size:
                return code if code >= 0 else 128 - code
            sys.stderr.write(f"flame-jupyter: worker {child} ended ({describe_exit(code)}); another one is started.\n")
            sys.stderr.flush()
            time.sleep(_PAUSE_S)


class _Signals:
    """Those that were sent to this process, as something to wait for."""

    def __init__(self) -> None:
        self.is_told_to_end = False
        self._read, self._write = os.pipe()
        for each in (self._read, self._write):
            os.set_blocking(each, False)

    def __enter__(self) -> _Signals:
        for each in _SIGNALS:
            signal.signal(each, self._take)
        signal.set_wakeup_fd(self._write)
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """As if there had been none of this."""
        signal.set_wakeup_fd(-1)
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)

    def wait(self, timeout_s: float) -> None:
        select.select([self._read], [], [], timeout_s)
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 64)

    def _take(self, number: int, _: object) -> None:
        self.is_told_to_end = self.is_told_to_end or number != signal.SIGCHLD


def _started(serve: Callable[[BinaryIO], int], known: BinaryIO, signals: _Signals) -> int:
    """The pid of the child. Nothing has loaded threads or gRPC so far: forking is safe."""
    supervisor_pid = os.getpid()
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        signals.leave()
        die_with_parent(supervisor_pid)
        known.seek(0)
        code = serve(known)
    except BaseException:  # noqa: BLE001 - behind it is the end of the process
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


def _ended(child: int, executor_pid: int, signals: _Signals) -> int:
    """Its exit code, as ``subprocess`` counts it."""
    give_up_s: float | None = None
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        signals.is_told_to_end = signals.is_told_to_end or os.getppid() != executor_pid
        if signals.is_told_to_end:  # again and again: one that has just been forked does not hear it
            give_up_s = give_up_s or monotonic_s() + _END_S
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM if monotonic_s() < give_up_s else signal.SIGKILL)
        signals.wait(_LOOK_S)
