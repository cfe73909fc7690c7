# SPDX-License-Identifier: Apache-2.0
"""Shared memory that leaves nothing behind: an anonymous file that lives as long as a process holds it.

On Linux a segment is a memfd: it has no name, is not limited by the size of /dev/shm, and its pages go when
the last descriptor and the last mapping are gone, however their owners ended. Where memory is full, and where
there is no memfd, it is an unlinked file in the temporary directory.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence

from flamepy.cache.memfd_pool import POOLED_FROM_BYTES, PooledMemfd, filled_memory, memfd_pool, write_all
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.errors import FlameError, FlameErrorCode

Place = Callable[[int], int]  # takes a size in bytes, returns the descriptor of a new file without a name

_FULL = frozenset({errno.ENOSPC, errno.ENOMEM, errno.EDQUOT, errno.EFBIG})
# Between the look at a segment's descriptor and the use of its number it must stay open: the number could be another
# file's by then. Re-entrant, because the garbage collector may close a segment inside any statement.
_descriptors = threading.RLock()


class Segment:
    """One file descriptor of shared memory and its size. Closes itself when the last reference is gone."""

    __slots__ = ("__weakref__", "_comparable", "_fd", "_own", "nbytes")

    def __init__(self, fd: int, nbytes: int, *, own: PooledMemfd | None = None) -> None:
        """own: what lies behind ``fd``, when it was made here and can be used again."""
        self._fd = fd
        self._own = own
        self._comparable: memoryview | None = None
        self.nbytes = nbytes

    @classmethod
    def of(cls, parts: Iterable[bytes | memoryview], nbytes: int, *, places: Sequence[Place] | None = None) -> Segment:
        """Make a segment that holds ``parts`` one after another; ``nbytes`` is their total.

        places: tried in this order, the next one when one is full; None = memory, then the temporary directory.
        Raises FlameError when all are full.
        """
        content = tuple(parts)
        causes: list[OSError] = []
        if places is None and nbytes >= POOLED_FROM_BYTES and hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):  # then the places tell what is wrong
                memory = filled_memory(content, nbytes)
                return cls(memory.fd, nbytes, own=memory)
        for place in default_places() if places is None else places:
            try:
                return cls(_filled(place, content, nbytes), nbytes)
            except OSError as error:
                causes.append(error)
                if error.errno not in _FULL:
                    break
        raise _explanation(nbytes, causes[-1]) from causes[-1]

    def fileno(self) -> int:
        """The descriptor: valid while this object lives."""
        return self._fd

    def is_in_memory(self) -> bool:
        """Does the content take memory? False for one that lies in a file on disk, or is closed."""
        with _descriptors:
            return self._fd >= 0 and os.fstat(self._fd).st_dev == memory_device()

    def map_private(self) -> memoryview:
        """Map the segment copy-on-write: writing into the view never fails, and no other process ever sees it."""
        if self.nbytes == 0:  # an empty file cannot be mapped
            return memoryview(bytearray())
        return memoryview(self._map(mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE))

    def view_for_comparison(self) -> memoryview:
        """A view of the content, mapped once for all comparisons with it: it must not be written into."""
        view = self._comparable
        if view is None:
            view = self._comparable = self.map_private()
        return view

    def spill(self, directory: str | None = None) -> None:
        """Move the content to an unlinked file in ``directory`` (None = TMPDIR); ``fileno()`` stays the same.

        Descriptors that were sent elsewhere and existing mappings keep the old memory as long as they live.
        Raises OSError; the segment is then as it was.
        """
        if self.nbytes == 0:
            return
        with contextlib.closing(self._map(mmap.MAP_SHARED, mmap.PROT_READ)) as source, memoryview(source) as content:
            fd = _filled(functools.partial(on_disk, directory=directory), (content,), self.nbytes)
        try:
            with _descriptors:
                if self._fd >= 0:
                    os.dup2(fd, self._fd, inheritable=False)
                    self._comparable = self._own = None  # they hold the old memory
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give the descriptor back. Mappings stay valid. Idempotent."""
        with _descriptors:
            fd, self._fd = self._fd, -1
            own, self._own = self._own, None
            self._comparable = None
            if own is not None and own.pid == os.getpid():
                memfd_pool.release(own)
            elif fd >= 0:
                os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError, TypeError):  # the last two: the interpreter is ending
            self.close()

    def _map(self, flags: int, prot: int) -> mmap.mmap:
        with _descriptors:
            if self._fd < 0:  # mmap would take -1 for a wish for fresh zeros
                raise ValueError("this segment is closed: keep the blob that holds it for as long as it is read.")
            try:
                return self._mapped(flags, prot)
            except OSError as error:
                if lacks_descriptors(error):
                    raise too_few_descriptors(f"cannot read a value of {self.nbytes:,} bytes") from error
                raise

    def _mapped(self, flags: int, prot: int) -> mmap.mmap:
        if sys.version_info >= (3, 13):
            return mmap.mmap(self._fd, self.nbytes, flags=flags, prot=prot, trackfd=False)
        return mmap.mmap(self._fd, self.nbytes, flags=flags, prot=prot)  # costs a descriptor while it lives


def _renew_lock() -> None:
    """In a forked child the thread that held the lock does not exist."""
    global _descriptors
    _descriptors = threading.RLock()


os.register_at_fork(after_in_child=_renew_lock)


def in_memory(nbytes: int) -> int:
    """Make a memfd of ``nbytes`` zeros and return its descriptor. Raises OSError."""
    return _sized(os.memfd_create("flame", os.MFD_CLOEXEC), nbytes)


def on_disk(nbytes: int, *, directory: str | None = None) -> int:
    """Make a nameless file of ``nbytes`` zeros in ``directory`` (None = TMPDIR). Raises OSError."""
    import tempfile  # here, because it loads twenty modules, and few processes come here

    fd, path = tempfile.mkstemp(prefix="flame-", dir=directory)
    os.unlink(path)
    return _sized(fd, nbytes)


def default_places() -> tuple[Place, ...]:
    return (in_memory, on_disk) if hasattr(os, "memfd_create") else (on_disk,)


@functools.cache
def memory_device() -> int | None:
    """The device number that all memfds share; None where there are none. Raises OSError.

    The first call needs a free descriptor.
    """
    if not hasattr(os, "memfd_create"):
        return None
    fd = in_memory(0)
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


def _sized(fd: int, nbytes: int) -> int:
    try:
        os.ftruncate(fd, nbytes)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _filled(place: Place, parts: Iterable[bytes | memoryview], nbytes: int) -> int:
    """A new file in ``place`` with ``parts`` in it."""
    fd = place(nbytes)
    try:
        write_all(fd, parts)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _explanation(nbytes: int, cause: OSError) -> FlameError:
    what = f"cannot store a value of {nbytes:,} bytes"
    if lacks_descriptors(cause):
        return too_few_descriptors(what)
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"{what}, neither in memory nor in the temporary directory: {cause.strerror}. "
        "Drop results that are no longer needed, set FLAME_MEMORY_LIMIT so that they move to disk earlier, "
        "or set TMPDIR to a directory with more room.",
    )
