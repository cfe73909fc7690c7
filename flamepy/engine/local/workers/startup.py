# SPDX-License-Identifier: Apache-2.0
"""What an embedded engine begins with. Loaded first and alone: the zygote needs 50 ms to start, and does so while the
rest of the engine is loaded.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flamepy.core.descriptors import raise_descriptor_limit
from flamepy.core.names import SCRATCH_MARK
from flamepy.engine.local.link.status_table import WorkerStatusTable
from flamepy.engine.local.workers.launcher import Launcher

_PIPE_BYTES = 1 << 20  # room for results while the caller's interpreter is busy


class StartupResources:
    """The scratch directory, the result pipe, the status table, and the zygote, which is starting."""

    def __init__(self) -> None:
        """Raises FlameError, OSError; then nothing is left."""
        raise_descriptor_limit()  # before the first one is needed
        with contextlib.ExitStack() as undo:
            self.scratch, self._scratch_lock = _new_scratch()
            undo.callback(os.close, self._scratch_lock)
            undo.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.results_read, self.results_write = os.pipe()
            undo.callback(os.close, self.results_read)
            undo.callback(os.close, self.results_write)
            os.set_blocking(self.results_read, False)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(self.results_write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self.status_table = WorkerStatusTable()
            undo.callback(self.status_table.close)
            self.launcher = self.start_zygote()
            for left in _left_behind(tempfile.gettempdir()):
                self.launcher.remove(left)
            undo.pop_all()

    def start_zygote(self) -> Launcher:
        """Also later, when one has ended by itself: it took the scratch directory with it."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return Launcher(self.results_write, self.status_table.fileno(), str(self.scratch))

    def undo(self) -> None:
        """The engine that this was for cannot be made."""
        self.launcher.close()
        self.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def close(self) -> None:
        """Close the descriptors; the zygote is the pool's to end."""
        for fd in (self.results_read, self.results_write, self._scratch_lock):
            os.close(fd)
        self.status_table.close()


def _new_scratch() -> tuple[Path, int]:
    """A directory, and a descriptor of it that is locked for as long as this process lives. Raises OSError.

    A cleaner of the temporary directory that asks for the lock, as that of systemd does, leaves it alone meanwhile.
    It gets its name when it is locked: it must not be taken for left behind before.
    """
    unnamed = Path(tempfile.mkdtemp(prefix=".flame-"))
    with contextlib.ExitStack() as undo:
        undo.callback(shutil.rmtree, unnamed, ignore_errors=True)
        lock = os.open(unnamed, os.O_RDONLY | os.O_CLOEXEC)
        undo.callback(os.close, lock)
        with contextlib.suppress(OSError):  # some file systems know no locks: there none is taken
            fcntl.flock(lock, fcntl.LOCK_EX)
        (unnamed / SCRATCH_MARK).write_text(_machine())
        scratch = unnamed.with_name(unnamed.name.removeprefix("."))
        unnamed.rename(scratch)
        undo.pop_all()
    return scratch, lock


def _left_behind(directory: str) -> Iterator[str]:
    """Scratch directories whose engine was killed together with the zygote that would have removed them."""
    with contextlib.suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            if entry.name.startswith("flame-") and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    if _belongs_to_nobody(Path(entry.path)):
                        yield entry.path


def _belongs_to_nobody(scratch: Path) -> bool:
    """Raises OSError where that cannot be known."""
    if scratch.stat().st_uid != os.geteuid() or (scratch / SCRATCH_MARK).read_text() != _machine():
        return False
    lock = os.open(scratch, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(lock)
    return True


def _machine() -> str:
    """What names the kernel that keeps the locks: another one, of a machine that shares the directory, knows other."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()
    except OSError:
        return os.uname().nodename
