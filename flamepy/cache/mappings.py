# SPDX-License-Identifier: Apache-2.0
"""Private mappings that are kept for a moment: the next call may get the same big argument.

Mapping 100 MB, touching it and unmapping it again costs a worker about 7 ms; seeing that a mapping is as good as new
costs less than one. It is as good as new when nothing refers to it any more and nothing was written into it: a page
that was written is the process's own, and the kernel tells that apart from a page of the file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from dataclasses import dataclass

from flamepy.cache.segment import Segment

KEEP_FROM_BYTES = 1 << 20  # smaller ones are mapped again in less time than the look takes
KEEP_AT_MOST_BYTES = 512 << 20  # a kept mapping keeps its segment's memory
KEEP_CALLS = 1  # that do not need it; the owner of the memory may be waiting to use it again
# Top bytes of entries of /proc/self/pagemap (kernel documentation, pagemap): bit 63 present, 62 swapped, 61 page of a
# file or shared. A page that was written into a private mapping is present or swapped, and of no file.
_NOT_WRITTEN = bytes(top for top in range(256) if top & 0xE0 in (0x00, 0x20, 0xA0))
_ENTRY_BYTES = 8


@dataclass
class _Kept:
    mapping: mmap.mmap
    is_in_use: bool
    unused_calls: int = 0


class KeptMappings:
    """For one thread. ``map`` while a call is read, ``settle`` when it is over, ``clear`` when no other comes."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, int], _Kept] = {}  # device and inode -> mapping, least recently used first

    def __len__(self) -> int:
        return len(self._kept)

    def map(self, segment: Segment) -> memoryview:
        """A private, writable view of the segment that is the caller's alone."""
        if segment.nbytes < KEEP_FROM_BYTES:
            return segment.map_private()
        status = os.fstat(segment.fileno())
        key = (status.st_dev, status.st_ino)
        kept = self._kept.pop(key, None)
        if kept is not None and not kept.is_in_use:
            self._kept[key] = _Kept(kept.mapping, is_in_use=True)
            return memoryview(kept.mapping)
        view = segment.map_private()
        if isinstance(view.obj, mmap.mmap):
            self._kept[key] = _Kept(view.obj, is_in_use=True)
        return view

    def settle(self) -> None:
        """Keep those mappings of the last call that are as good as new, as far as there is room."""
        room_bytes = KEEP_AT_MOST_BYTES
        for key, kept in reversed(list(self._kept.items())):
            room_bytes -= len(kept.mapping)
            kept.unused_calls = 0 if kept.is_in_use else kept.unused_calls + 1
            if room_bytes < 0 or kept.unused_calls > KEEP_CALLS or (kept.is_in_use and not _is_as_good_as_new(kept)):
                del self._kept[key]
            else:
                kept.is_in_use = False

    def clear(self) -> None:
        """Let go of the memory."""
        self._kept.clear()


def _references(kept: _Kept) -> int:
    return sys.getrefcount(kept.mapping)


_REFERENCES_WHEN_UNUSED = _references(_Kept(mmap.mmap(-1, mmap.PAGESIZE), is_in_use=False))  # as this Python counts


def _is_as_good_as_new(kept: _Kept) -> bool:
    return _references(kept) <= _REFERENCES_WHEN_UNUSED and _is_unwritten(kept.mapping)


def _is_unwritten(mapping: mmap.mmap) -> bool:
    address = ctypes.addressof(ctypes.c_char.from_buffer(mapping))
    pages = -(-len(mapping) // mmap.PAGESIZE)
    try:
        fd = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # no such file, or not for us: then it is never kept
        return False
    try:
        entries = os.pread(fd, pages * _ENTRY_BYTES, address // mmap.PAGESIZE * _ENTRY_BYTES)
    finally:
        os.close(fd)
    tops = entries[_ENTRY_BYTES - 1 :: _ENTRY_BYTES] if sys.byteorder == "little" else entries[::_ENTRY_BYTES]
    return len(tops) == pages and not tops.translate(None, _NOT_WRITTEN)
