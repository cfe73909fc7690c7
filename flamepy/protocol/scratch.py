# SPDX-License-Identifier: Apache-2.0
"""The directory that an engine keeps its files in: locked while it lives, found and removed when it was killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from flamepy.core.names import SCRATCH_MARK


def new_scratch() -> tuple[Path, int]:
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


def left_behind(directory: str) -> Iterator[str]:
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
