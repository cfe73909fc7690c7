# SPDX-License-Identifier: Apache-2.0
"""A payload at rest or on its way: a few bytes in place, or one segment of shared memory.

A blob crosses a process border as a header (bytes) and at most one descriptor. The engine moves blobs and
never looks inside.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flamepy.cache.segment import Segment
from flamepy.cache.sharing import RecentSegments
from flamepy.codec.payload import Payload

if TYPE_CHECKING:  # workers hold blobs, and know no store
    from flamepy.cache.api import Value

INLINE_LIMIT_BYTES = 32 * 1024  # above it a descriptor costs less than the copies through a socket
_ALIGNMENT = 64  # so that arrays in a segment are aligned for vector instructions
_HEAD = struct.Struct("<BIQ")  # 1 = in a segment; number of buffers; bytes in place or in the segment
_LENGTH = struct.Struct("<Q")


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it
class Blob:
    """data: everything in place when ``segment`` is None; lengths: of the pickle stream and of each buffer."""

    lengths: tuple[int, ...]
    data: bytes = b""
    segment: Segment | None = None

    @classmethod
    def of(cls, payload: Payload, *, recent: RecentSegments | None = None) -> Blob:
        """Hold ``payload``, in shared memory when it is big: in a segment of ``recent`` if one has the same content.

        Raises FlameError when there is no room for it.
        """
        data = payload.data
        if not payload.buffers and type(data) is bytes and len(data) <= INLINE_LIMIT_BYTES:  # most calls
            return cls((len(data),), data)
        parts = (payload.data, *payload.buffers)
        lengths = tuple(len(part) if isinstance(part, bytes) else part.nbytes for part in parts)
        if sum(lengths) <= INLINE_LIMIT_BYTES:
            return cls(lengths, data=bytes(payload.data) if len(parts) == 1 else b"".join(parts))
        padded: list[bytes | memoryview] = []
        total = 0
        for part, length in zip(parts, lengths, strict=True):
            gap = -length % _ALIGNMENT
            padded += [part, bytes(gap)]
            total += length + gap
        segment = None if recent is None else recent.find(lengths, padded)
        if segment is None:
            segment = Segment.of(padded, total)
            if recent is not None:
                recent.remember(lengths, segment)
        return cls(lengths, segment=segment)

    @property
    def nbytes(self) -> int:
        """Bytes of the payload itself, without padding."""
        return sum(self.lengths)

    def plain_bytes(self) -> bytes | None:
        """The payload, when it is nothing but a few bytes in place."""
        return self.data if self.segment is None and len(self.lengths) == 1 else None

    def payload(self, map_: Callable[[Segment], memoryview] = Segment.map_private) -> Payload:
        """The payload again; buffers in a segment are private, writable, copied only where they are written.

        map_: gives a private view of a segment.
        """
        if self.segment is None and len(self.lengths) == 1:
            return Payload(self.data)
        whole = memoryview(self.data) if self.segment is None else map_(self.segment)
        views = []
        offset = 0
        for length in self.lengths:
            views.append(whole[offset : offset + length])
            offset += length if self.segment is None else length + -length % _ALIGNMENT
        data, *buffers = views
        if self.segment is None:
            # each in memory of its own: writable, as a private copy is, and aligned for the numbers in it
            buffers = [memoryview(bytearray(buffer)) for buffer in buffers]
        return Payload(data, buffers)

    def in_place(self) -> Blob:
        """The same payload without shared memory: a copy, for when a packet cannot carry that many descriptors."""
        if self.segment is None:
            return self
        payload = self.payload()
        return Blob(self.lengths, data=b"".join([payload.data, *payload.buffers]))

    def write_to(self, parts: list[bytes], fds: list[int]) -> None:
        """Append the wire form: header and inline bytes to ``parts``, the descriptor to ``fds``."""
        nbytes = len(self.data) if self.segment is None else self.segment.nbytes
        parts.append(_HEAD.pack(self.segment is not None, len(self.lengths), nbytes))
        parts.extend(map(_LENGTH.pack, self.lengths))
        if self.segment is None:
            parts.append(self.data)
        else:
            fds.append(self.segment.fileno())

    @classmethod
    def read_from(
        cls, frame: bytes | memoryview, offset: int, fds: Sequence[int], next_fd: int
    ) -> tuple[Blob, int, int]:
        """Read one blob at ``offset``; returns it, the offset behind it and the index of the next descriptor."""
        in_segment, count, nbytes = _HEAD.unpack_from(frame, offset)
        offset += _HEAD.size
        lengths = struct.unpack_from(f"<{count}Q", frame, offset)
        offset += _LENGTH.size * count
        if in_segment:
            return cls(lengths, segment=Segment(fds[next_fd], nbytes)), offset, next_fd + 1
        return cls(lengths, data=bytes(frame[offset : offset + nbytes])), offset + nbytes, next_fd


def blob_of(value: Value) -> Blob:
    """The value in the memory of this machine: itself, when that is where it lies."""
    return value if isinstance(value, Blob) else Blob.of(value.payload())
