# SPDX-License-Identifier: Apache-2.0
"""An encoded value on its way through a cluster: in place when it is small, else an object of the cache."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from flamepy.protocol.cluster.fields import damaged

INLINE_LIMIT_BYTES = 64 * 1024  # above it a task of several calls would come near what one message may hold (4 MiB)
_IN_PLACE, _IN_CACHE = b"\0", b"\1"
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Parcel:
    """data: the parts of the payload in one; or key: of the object that holds them. nbytes: of the parts."""

    nbytes: int
    data: bytes | None = None
    key: str = ""

    def field(self) -> bytes:
        if self.data is not None:
            return _IN_PLACE + self.data
        return _IN_CACHE + _LENGTH.pack(self.nbytes) + self.key.encode()

    @classmethod
    def read(cls, field: memoryview) -> Parcel:
        """Raises FlameError for what is no parcel."""
        kind, rest = bytes(field[:1]), field[1:]
        if kind == _IN_PLACE:
            return cls(len(rest), bytes(rest))
        if kind != _IN_CACHE or len(rest) <= _LENGTH.size:
            raise damaged()
        try:
            return cls(_LENGTH.unpack_from(rest)[0], key=bytes(rest[_LENGTH.size :]).decode())
        except UnicodeDecodeError:
            raise damaged() from None


def optional_field(parcel: Parcel | None) -> bytes:
    return b"" if parcel is None else parcel.field()


def read_optional(field: memoryview) -> Parcel | None:
    return Parcel.read(field) if len(field) else None
