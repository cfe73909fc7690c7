# SPDX-License-Identifier: Apache-2.0
"""Payloads of objects: in memory, or in files once they are too many. The one used longest ago moves first."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import weakref
from pathlib import Path

import pyarrow as pa

from flamepy.cache.eviction import to_spill

_log = logging.getLogger(__name__)


class HeldPayload:
    """Bytes that do not change. What has read them keeps them, also when they move to a file or are dropped."""

    def __init__(self, buffer: pa.Buffer) -> None:
        self.nbytes: int = buffer.size
        self._buffer = buffer

    def buffer(self) -> pa.Buffer:
        return self._buffer

    def move_to(self, path: Path) -> None:
        """Raises OSError. The file goes when nothing has the payload any more."""
        try:
            with pa.OSFile(str(path), "wb") as file:
                file.write(self._buffer)
            mapped = pa.memory_map(str(path)).read_buffer()
        except OSError:
            path.unlink(missing_ok=True)
            raise
        self._buffer = mapped
        weakref.finalize(self, path.unlink, missing_ok=True).atexit = False  # its directory goes then


class PayloadMemory:
    """limit_bytes: for the payloads in memory; directory: for the files of the others. Thread-safe."""

    def __init__(self, limit_bytes: int, directory: Path) -> None:
        self._limit_bytes = limit_bytes
        self._directory = directory
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._in_memory: dict[HeldPayload, int] = {}  # least recently used first
        self._total_bytes = 0

    def hold(self, buffer: pa.Buffer) -> HeldPayload:
        """Count the payload; over the limit, move others to files, or itself, before returning."""
        payload = HeldPayload(buffer)
        with self._lock:
            self._in_memory[payload] = payload.nbytes
            self._total_bytes += payload.nbytes
            chosen = to_spill(self._in_memory.items(), total_bytes=self._total_bytes, limit_bytes=self._limit_bytes)
            for each in chosen:
                self._take_off(each)
        for each in chosen:
            self._move(each)
        return payload

    def used(self, payload: HeldPayload) -> None:
        """It is the one used last."""
        with self._lock:
            if payload in self._in_memory:
                self._in_memory[payload] = self._in_memory.pop(payload)

    def drop(self, payload: HeldPayload) -> None:
        """It counts no more."""
        with self._lock, contextlib.suppress(KeyError):
            self._take_off(payload)

    def _take_off(self, payload: HeldPayload) -> None:
        self._total_bytes -= self._in_memory.pop(payload)

    def _move(self, payload: HeldPayload) -> None:
        try:
            payload.move_to(self._directory / str(next(self._numbers)))
        except OSError as error:  # nothing is lost: it stays in memory, and its turn comes again
            _log.warning("object stays in memory, its file cannot be written bytes=%d error=%s", payload.nbytes, error)
            with self._lock:
                self._in_memory[payload] = payload.nbytes
                self._total_bytes += payload.nbytes
