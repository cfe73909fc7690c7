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
from pathlib import Path

from flamepy.engine.local.board import Board
from flamepy.engine.local.launcher import Launcher

_PIPE_BYTES = 1 << 20  # room for results while the caller's interpreter is busy


class Ignition:
    """The scratch directory, the result pipe, the board, and the zygote, which is starting."""

    def __init__(self) -> None:
        """Raises FlameError, OSError; then nothing is left."""
        with contextlib.ExitStack() as undo:
            self.scratch = Path(tempfile.mkdtemp(prefix="flame-"))
            undo.callback(shutil.rmtree, self.scratch, ignore_errors=True)
            self.results_read, self.results_write = os.pipe()
            undo.callback(os.close, self.results_read)
            undo.callback(os.close, self.results_write)
            os.set_blocking(self.results_read, False)
            with contextlib.suppress(OSError, AttributeError):
                fcntl.fcntl(self.results_write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            self.board = Board()
            undo.callback(self.board.close)
            self.launcher = self.start_zygote()
            undo.pop_all()

    def start_zygote(self) -> Launcher:
        """Also later, when one has ended by itself: it took the scratch directory with it."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        return Launcher(self.results_write, self.board.fileno(), str(self.scratch))

    def undo(self) -> None:
        """The engine that this was for cannot be made."""
        self.launcher.close()
        self.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def close(self) -> None:
        """Close the descriptors; the zygote is the pool's to end."""
        for fd in (self.results_read, self.results_write):
            os.close(fd)
        self.board.close()
