# SPDX-License-Identifier: Apache-2.0
"""What a call prints: captured at the level of descriptors, so that native code and child processes count too.

Each worker writes to a file of its own (opened for append). The file is emptied after every call; while a call
runs the engine can read its tail. Python's own writes are kept bounded; a call that prints 100 MB costs neither
memory nor disk.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections import deque
from collections.abc import Callable

from flamepy.codec.frames import OUTPUT_TAIL_BYTES

_BOUND_BYTES = 4 * 1024 * 1024  # when the file is longer, all but the tail is dropped


class OutputCapture:
    """Owns standard output and standard error of a worker; standard input is at its end from the start."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        for target in (1, 2):
            os.dup2(fd, target)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout = _BoundedWriter(1, self.keep_tail)
        sys.stderr = self._errors = _ErrorWriter(2, self.keep_tail)

    def keep_tail(self) -> None:
        """Drop all but the end of what the running call has written, when it is much."""
        size = os.fstat(self._fd).st_size
        if size > _BOUND_BYTES:
            tail = os.pread(self._fd, OUTPUT_TAIL_BYTES, size - OUTPUT_TAIL_BYTES)
            os.ftruncate(self._fd, 0)
            os.write(self._fd, tail)

    def take_errors(self) -> bytes:
        """The tail of what Python code wrote to ``sys.stderr`` since the last call, a part of what ``take`` gives.

        Both go to one file, so that they stay in order; what native code writes is not told apart.
        """
        return self._errors.take()

    def take(self) -> bytes:
        """The tail of everything written since the last call, and start afresh."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):  # user code closed or replaced it
                stream.flush()
        size = os.fstat(self._fd).st_size
        if size == 0:
            return b""
        tail = os.pread(self._fd, OUTPUT_TAIL_BYTES, max(0, size - OUTPUT_TAIL_BYTES))
        os.ftruncate(self._fd, 0)
        return tail


class _BoundedWriter(io.TextIOWrapper):
    """Line buffered, as a terminal is; what cannot be encoded is escaped. Tells when much has been written."""

    def __init__(self, fd: int, on_much: Callable[[], None]) -> None:
        raw = io.BufferedWriter(io.FileIO(fd, "w", closefd=False))
        super().__init__(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        self._on_much = on_much
        self._unchecked_chars = 0

    def write(self, text: str) -> int:
        self._unchecked_chars += len(text)
        count = super().write(text)
        if self._unchecked_chars > _BOUND_BYTES:
            self._unchecked_chars = 0
            self.flush()
            self._on_much()
        return count


class _ErrorWriter(_BoundedWriter):
    """Remembers the end of what was written."""

    def __init__(self, fd: int, on_much: Callable[[], None]) -> None:
        super().__init__(fd, on_much)
        self._texts: deque[str] = deque()
        self._chars = 0

    def write(self, text: str) -> int:
        self._texts.append(text)
        self._chars += len(text)
        while self._chars - len(self._texts[0]) >= OUTPUT_TAIL_BYTES:
            self._chars -= len(self._texts.popleft())
        return super().write(text)

    def take(self) -> bytes:
        if not self._texts:
            return b""
        text = "".join(self._texts)[-OUTPUT_TAIL_BYTES:]
        self._texts.clear()
        self._chars = 0
        return text.encode(errors="backslashreplace")[-OUTPUT_TAIL_BYTES:]
