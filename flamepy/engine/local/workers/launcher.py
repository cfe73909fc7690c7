# SPDX-License-Identifier: Apache-2.0
"""Starts the zygote and tells it what to do: fork a worker, signal one, leave."""

from __future__ import annotations

import contextlib
import errno
import os
import pickle
import signal
import socket
import subprocess
import sys
from pathlib import Path

from flamepy.cache.segment import Segment
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.engine.local.link.import_path import import_path_of_caller
from flamepy.errors import FlameError, FlameErrorCode
from flamepy.protocol.worker_specification import WorkerSpecification

# What the zygote runs: nothing may be imported from its working directory, which has files of the user's, but for
# flamepy itself, which is the one of this process, wherever that lies.
# argv: descriptor and length of the import path, the directory of flamepy, and the arguments of zygote.main.
_BOOT = (
    "import sys; sys.path[:] = [entry for entry in sys.path if entry]; "
    "import __future__, importlib, os, pickle, typing; "  # what flamepy/__init__.py imports, and what is needed here
    "path, home, arguments = pickle.loads(os.pread(int(sys.argv[1]), int(sys.argv[2]), 0)); "
    "sys.path[:] = [home, *path]; import flamepy; sys.path[:] = path; "
    "from flamepy.worker.zygote import main; sys.exit(main(*arguments))"
)
_HOME = str(Path(os.path.abspath(__file__)).parents[4])
_STARTER_VARIABLE = "FLAME_STARTER_PID"  # set for the zygote: who has started it
_INLINE_BYTES = 64 * 1024  # a longer specification does not fit into a packet
_SMALL_ENVIRON_CHARS = 32 * 1024  # fits into what a process may be started with, however low that limit is
_NEEDED_TO_START = (_STARTER_VARIABLE, "LD_", "DYLD_", "PYTHON", "LC_", "LANG", "TMPDIR", "HOME", "PATH")
_GONE = frozenset({errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF})
LEAVE_S = 5.0  # how long the zygote may take to end its workers and to remove the scratch directory


class Launcher:
    """The engine's end of the zygote. Used by the engine's thread only, after construction."""

    def __init__(self, results_fd: int, status_fd: int, scratch: str) -> None:
        """Raises FlameError when no Python can be started here."""
        _check_interpreter()
        self._log = Path(scratch) / "zygote.log"
        with contextlib.ExitStack() as undo:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            undo.callback(ours.close)
            with theirs:
                fds = [theirs.fileno(), results_fd, status_fd]
                self.authkey = authkey_of_caller()
                arguments = [*fds, os.getpid(), scratch, self.authkey]
                start = pickle.dumps((sum(import_path_of_caller(), ()), _HOME, arguments))
                segment = Segment.of([start], len(start))
                command = [
                    sys.executable,
                    # -O, -W, -X, -I ... as this process was started with
                    *subprocess._args_from_interpreter_flags(),  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing does
                    "-c",
                    _BOOT,
                    str(segment.fileno()),
                    str(len(start)),
                ]
                self._process = self._started(command, [*fds, segment.fileno()])
            undo.pop_all()
        self._control = ours

    def _started(self, command: list[str], fds: list[int]) -> subprocess.Popen[bytes]:
        environ = {**os.environ, _STARTER_VARIABLE: str(os.getpid())}
        try:
            try:
                return self._popen(command, fds, environ)
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
            return self._popen(command, fds, _small_environ(environ))
        except OSError as error:
            if lacks_descriptors(error):
                raise too_few_descriptors("cannot start a Python for workers") from error
            raise FlameError(
                FlameErrorCode.INTERNAL,
                f"cannot start a Python for workers: {sys.executable}: {error.strerror}. Workers run with "
                "sys.executable: see that it names the Python of this program.",
            ) from error

    def _popen(self, command: list[str], fds: list[int], environ: dict[str, str]) -> subprocess.Popen[bytes]:
        # a session of its own: the kernel's interrupt goes to the kernel's whole process group
        with self._log.open("wb") as log:
            return subprocess.Popen(
                command,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=fds,
                start_new_session=True,
            )

    def fileno(self) -> int:
        """Becomes readable when the zygote has ended."""
        return self._control.fileno()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork(self, worker_id: int, slot: int, specification: WorkerSpecification, fds: list[int]) -> bool:
        """Start a worker; False when the zygote is gone. Raises OSError, FlameError."""
        data = pickle.dumps(specification)
        command = pickle.dumps(("fork", worker_id, slot, data if len(data) <= _INLINE_BYTES else len(data)))
        segment = None if len(data) <= _INLINE_BYTES else Segment.of([data], len(data))
        try:
            socket.send_fds(self._control, [command], fds if segment is None else [*fds, segment.fileno()])
        except OSError as error:
            if error.errno in _GONE:
                return False
            raise
        return True

    def signal(self, worker_id: int, number: signal.Signals) -> None:
        """Send a signal to a worker. Silent when it has ended."""
        with contextlib.suppress(OSError):
            self._control.send(pickle.dumps(("signal", worker_id, int(number))))

    def end_group(self, pid: int) -> None:
        """Have what a worker of an earlier zygote has started end: it ended without that."""
        with contextlib.suppress(OSError):
            self._control.send(pickle.dumps(("end", pid)))

    def unpack(self, archive: str, root: str, name: str) -> None:
        """Have the package of an application unpacked, without waiting for it."""
        with contextlib.suppress(OSError):  # then the first worker does it
            self._control.send(pickle.dumps(("unpack", archive, root, name)))

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
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """With all that it has started, for it may be no zygote of ours; workers notice by themselves."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def last_words(self) -> str:
        """How it ended, for an error: its exit code and the last line that it wrote."""
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self._log.read_text(errors="replace").splitlines()
        return ": ".join([f"exit code {self._process.returncode}", *lines[-1:]])

    def abandon(self) -> None:
        """In a forked child: let go of the parent's zygote without touching it."""
        self._control.close()
        self._process.returncode = 0  # it is not this process's child: it must not be waited for here


def _small_environ(environ: dict[str, str]) -> dict[str, str]:
    """What a Python needs to start, and as much of the rest as fits; workers get the whole in another way."""
    small: dict[str, str] = {}
    free = _SMALL_ENVIRON_CHARS
    for name, value in sorted(
        environ.items(), key=lambda item: (not item[0].startswith(_NEEDED_TO_START), len(item[1]))
    ):
        free -= len(name) + len(value)
        if free < 0:
            break
        small[name] = value
    return small


def authkey_of_caller() -> bytes | None:
    """What proxies and connections of multiprocessing authenticate with; None while this process does not use it."""
    process = sys.modules.get("multiprocessing.process")
    return None if process is None else bytes(process.current_process().authkey)


def _check_interpreter() -> None:
    """Raises FlameError where ``sys.executable`` would start this very program again."""
    if getattr(sys, "frozen", False) or not sys.executable:
        program = sys.executable or (sys.argv[0] if getattr(sys, "argv", None) else "this")
        raise FlameError(
            FlameErrorCode.INVALID_STATE,
            f"{program} is a frozen program and not a Python: it cannot start workers, because it would start itself. "
            "Run the program with a Python interpreter, or set sys.executable to one that has flamepy.",
        )
    if os.environ.get(_STARTER_VARIABLE) == str(os.getppid()):
        raise FlameError(
            FlameErrorCode.INVALID_STATE,
            f"{sys.executable} was started to run workers, and ran the program again instead: it is no Python. Run "
            "the program with a Python interpreter, or set sys.executable to one that has flamepy.",
        )
