# SPDX-License-Identifier: Apache-2.0
"""What a call prints: captured at the level of descriptors, so that native code and child processes count too.

Each worker writes to a file of its own (opened for append). While a call runs the engine can read its tail. After a
little output the file is emptied, after much the next call begins where the last one ended. What Python prints is
bounded here, what others write by the engine: a call that prints 100 MB costs neither memory nor disk.
"""

from __future__ import annotations

import io
import os
import sys
from collections import deque
from collections.abc import Callable

from flamepy.cache.holes import allocated_bytes, punch
from flamepy.protocol.frames import OUTPUT, OUTPUT_ON_DISK_BYTES, OUTPUT_TAIL_BYTES

_LONG_FILE_BYTES = 1 << 30  # then the file begins anew: there may be a limit to the size of files


class OutputCapture:
    """Owns standard output and standard error of a worker; standard input is at its end from the start."""

    def __init__(self, fd: int, words: memoryview) -> None:
        """words: of this worker's slot; there the engine sees where the output of the call begins."""
        self._fd = fd
        self._words = words
        self._begin = 0
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
        if allocated_bytes(self._fd) <= OUTPUT_ON_DISK_BYTES:
            return
        size = os.fstat(self._fd).st_size
        if not punch(self._fd, size - OUTPUT_TAIL_BYTES):
            tail = os.pread(self._fd, OUTPUT_TAIL_BYTES, size - OUTPUT_TAIL_BYTES)
            self._begin_at(0)
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
            try:  # noqa: SIM105 - suppress() costs ten times as much, and this is done after each call
                stream.flush()
            except (OSError, ValueError, AttributeError):  # user code closed or replaced it
                pass
        size = os.lseek(self._fd, 0, os.SEEK_END)  # a quarter of fstat; writes go to the end wherever they stand
        if size == self._begin:
            return b""
        if size < self._begin:  # the code has opened /dev/stdout to write, which empties a file
            self._begin_at(0)
        tail = os.pread(self._fd, OUTPUT_TAIL_BYTES, max(self._begin, size - OUTPUT_TAIL_BYTES))
        if self._is_to_begin_anew(size):
            size = 0
            os.ftruncate(self._fd, size)
        self._begin_at(size)
        return tail

    def _is_to_begin_anew(self, size: int) -> bool:
        """Empty the file while it has always been short: code that opens /dev/stdout to write empties it as well.

        The engine may be about to free the beginning of a longer one, and would hit what is written next.
        """
        if size <= OUTPUT_ON_DISK_BYTES or size > _LONG_FILE_BYTES:
            return True
        return allocated_bytes(self._fd) > OUTPUT_ON_DISK_BYTES and not punch(self._fd, size)

    def _begin_at(self, offset: int) -> None:
        self._begin = self._words[OUTPUT] = offset


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
        if self._unchecked_chars > OUTPUT_ON_DISK_BYTES:
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
