# SPDX-License-Identifier: Apache-2.0
"""Memory of dropped segments, kept for a moment: writing into it takes a third of writing into new memory.

100 MB take 14 ms instead of 31 to 48: the kernel need not find pages. A segment may be written anew only when
it cannot be seen any more: no process has it open or mapped, and it is in no socket. The kernel knows, and tells when
it is asked for a write lease (fcntl(2), F_SETLEASE), which it gives to the only one who has a file open. So nothing is
counted here, and a process that was killed, or forked, changes nothing.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from flamepy.clock import monotonic_s

POOLED_FROM_BYTES = 256 << 10  # a smaller one is made anew in the time that the look takes
KEEP_AT_MOST_BYTES = 512 << 20
KEEP_S = 1.0  # a loop comes back sooner; memory of one that has ended goes
_CHUNK_BYTES = 1 << 30  # Linux writes at most 2 GiB - 4 KiB in one call
_LOOKS = 8  # at memory of a fitting size, the one that was dropped first first: others may still have the rest
_SPARE = 1.25  # a segment may be this much larger than what is put into it


@dataclass(frozen=True)
class PooledMemfd:
    """An open file in memory."""

    fd: int
    nbytes: int
    pid: int  # of the process that made it: a forked child must leave it alone


@dataclass(frozen=True)
class _Kept:
    memory: PooledMemfd
    since_s: float


class MemfdPool:
    """Thread-safe. ``release`` may be called by the garbage collector, inside any statement."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: deque[_Kept] = deque()
        self._kept: list[_Kept] = []  # oldest first
        self._owners: list[Callable[[], object]] = []

    def __bool__(self) -> bool:
        return bool(self._kept or self._given)

    def add_owner(self, owner: Callable[[], object]) -> None:
        """From now on memory is kept: ``owner`` is called when there is some, and sees that ``trim`` is."""
        self._owners.append(owner)

    def remove_owner(self, owner: Callable[[], object]) -> None:
        """This owner does not call ``trim`` any more."""
        self._owners.remove(owner)
        if not self._owners:
            self.clear()

    def release(self, memory: PooledMemfd) -> None:
        """Keep it for a while; others may still have it open. Without an owner it goes at once."""
        is_first = not self
        counted = _opened_anew(memory.fd) if self._owners else None
        os.close(memory.fd)
        if counted is None:
            return
        kept = PooledMemfd(counted, memory.nbytes, memory.pid)
        self._given.append(_Kept(kept, monotonic_s()))
        if self._lock.acquire(blocking=False):  # else its holder, maybe this very thread, does the rest
            try:
                self._settle(KEEP_AT_MOST_BYTES, 0.0)
            finally:
                self._lock.release()
        if is_first:
            for owner in self._owners:
                owner()

    def acquire(self, nbytes: int) -> PooledMemfd | None:
        """Memory for ``nbytes`` that no other process can see; None when there is none. It is the caller's to close."""
        with self._lock:
            self._settle(KEEP_AT_MOST_BYTES, 0.0)
            fitting = (kept for kept in self._kept if nbytes <= kept.memory.nbytes <= nbytes * _SPARE)
            for kept in islice(fitting, _LOOKS):
                if _is_alone(kept.memory.fd):
                    self._kept.remove(kept)
                    return kept.memory
        return None

    def trim(self, now_s: float) -> None:
        """Let go of what has been kept for KEEP_S. now_s: monotonic."""
        if self:
            with self._lock:
                self._settle(KEEP_AT_MOST_BYTES, now_s - KEEP_S)

    def next_trim_s(self) -> float | None:
        """When ``trim`` has something to do (monotonic); None when nothing is kept."""
        for kept in (self._kept, self._given):
            with contextlib.suppress(IndexError):  # taken by another thread meanwhile
                return kept[0].since_s + KEEP_S
        return None

    def clear(self) -> None:
        """Let go of everything."""
        if self:
            with self._lock:
                self._settle(0, 0.0)

    def _settle(self, room_bytes: int, since_s: float) -> None:
        """With the lock: take in what was given, and let go of what is old, or too much."""
        while self._given:
            self._kept.append(self._given.popleft())
        total_bytes = sum(kept.memory.nbytes for kept in self._kept)
        while self._kept and (total_bytes > room_bytes or self._kept[0].since_s < since_s):
            memory = self._kept.pop(0).memory
            total_bytes -= memory.nbytes
            os.close(memory.fd)

    def abandon(self) -> None:
        """In a forked child: what is kept belongs to the parent."""
        self._lock = threading.Lock()  # a thread that does not exist here may hold the other one
        self._owners.clear()
        self.clear()


def filled_memory(parts: Sequence[bytes | memoryview], nbytes: int) -> PooledMemfd:
    """Memory with ``parts`` in it, one after another: warm if there is any. Raises OSError."""
    memory = memfd_pool.acquire(nbytes)
    try:
        if memory is None:
            memory = _new_memory(nbytes)
        write_all(memory.fd, parts)
    except BaseException:
        if memory is not None:
            os.close(memory.fd)
        raise
    return memory


def write_all(fd: int, parts: Iterable[bytes | memoryview]) -> None:
    """Write ``parts`` one after another. A write is faster than faulting in a mapping. Raises OSError."""
    for part in parts:
        view = memoryview(part).cast("B")
        while view:
            view = view[os.write(fd, view[:_CHUNK_BYTES]) :]


def _new_memory(nbytes: int) -> PooledMemfd:
    """A memfd of ``nbytes`` zeros, opened in such a way that it can be kept and used again. Raises OSError."""
    fd = os.memfd_create("flame", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, nbytes)
        counted = _opened_anew(fd)  # because the kernel does not count the first descriptor
    finally:
        os.close(fd)
    if counted is None:
        raise OSError("no /proc to open a memfd anew")
    return PooledMemfd(counted, nbytes, os.getpid())


def _opened_anew(fd: int) -> int | None:
    try:
        return os.open(f"/proc/self/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None


def _is_alone(fd: int) -> bool:
    try:
        # who opens the file while the lease is held has a signal sent to us: not SIGIO, which would end the process
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except (OSError, AttributeError):  # a process has it; or no leases for memory, or none on this system
        return False
    return True


memfd_pool = MemfdPool()
os.register_at_fork(after_in_child=memfd_pool.abandon)
