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

from flamepy.core.descriptors import raise_descriptor_limit
from flamepy.engine.local.link.status_table import WorkerStatusTable
from flamepy.engine.local.workers.launcher import Launcher
from flamepy.protocol.scratch import left_behind, new_scratch

_PIPE_BYTES = 1 << 20  # room for results while the caller's interpreter is busy


class StartupResources:
    """The scratch directory, the result pipe, the status table, and the zygote, which is starting."""

    def __init__(self) -> None:
        """Raises FlameError, OSError; then nothing is left."""
        raise_descriptor_limit()  # before the first one is needed
        with contextlib.ExitStack() as undo:
            self.scratch, self._scratch_lock = new_scratch()
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
            for left in left_behind(tempfile.gettempdir()):
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
