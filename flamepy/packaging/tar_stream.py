# SPDX-License-Identifier: Apache-2.0
"""Writes a tar in GNU format with nothing of this machine in it: no owner, no time. Same members, same bytes.

``tarfile`` builds a header in 50 us, which is what reading a small file costs twice over. Headers of one kind differ in
name, size and checksum alone, so each is made of one that ``tarfile`` has built.
"""

from __future__ import annotations

import functools
import tarfile
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from io import BufferedIOBase

_BUFFER_BYTES = 1 << 18  # what comes in small pieces goes out in big ones
_SMALL_BYTES = 1 << 16
_NAME = slice(0, tarfile.LENGTH_NAME)
_SIZE = slice(124, 136)
_CHECKSUM = slice(148, 156)
LINKED_RECORD = "FLAME.linked"  # size in bytes and mtime in ns of a big file that the archive only links to
_MAX_SIZE_BYTES = 8**11 - 1  # more does not fit into eleven octal digits


class TarStream:
    """out: gets the bytes; its owner closes it, after ``end``."""

    def __init__(self, out: BufferedIOBase) -> None:
        self._out = out
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._nbytes = 0

    def add_file(self, name: str, mode: int, size_bytes: int, pieces: Iterable[bytes]) -> None:
        """pieces: the content, ``size_bytes`` in all."""
        header = _file_header(name.encode("utf-8", "surrogateescape"), mode, size_bytes)
        if size_bytes <= _SMALL_BYTES:  # of which there may be many: all of it in one step
            self._write(b"".join((header, *pieces, bytes(-size_bytes % tarfile.BLOCKSIZE))))
            return
        self._write(header)
        for piece in pieces:
            self._write(piece)
        self._write(bytes(-size_bytes % tarfile.BLOCKSIZE))

    def add_directory(self, name: str, mode: int) -> None:
        self._write(_header(name, tarfile.DIRTYPE, mode))

    def add_link(self, name: str, mode: int, target: str, linked: str = "") -> None:
        """linked: what the digest of the package has of the file at the other end, for who checks the archive."""
        records = {LINKED_RECORD: linked} if linked else {}
        self._write(_header(name, tarfile.SYMTYPE, mode, target=target, records=records))

    def end(self) -> None:
        """Nothing more comes."""
        self._write(bytes(2 * tarfile.BLOCKSIZE))
        self._write(bytes(-self._nbytes % tarfile.RECORDSIZE))
        self._flush()

    def _write(self, data: bytes) -> None:
        self._pending.append(data)
        self._pending_bytes += len(data)
        self._nbytes += len(data)
        if self._pending_bytes >= _BUFFER_BYTES:
            self._flush()

    def _flush(self) -> None:
        self._out.write(b"".join(self._pending))
        self._pending.clear()
        self._pending_bytes = 0


def _file_header(name: bytes, mode: int, size_bytes: int) -> bytes:
    if len(name) > tarfile.LENGTH_NAME or size_bytes > _MAX_SIZE_BYTES:
        return _header(name.decode("utf-8", "surrogateescape"), tarfile.REGTYPE, mode, size_bytes=size_bytes)
    size = b"%011o" % size_bytes
    before_size, before_checksum, behind, checksum = _template(mode)
    checksum += sum(name) + sum(size)
    return b"%s%s%s%s%06o%s" % (
        name.ljust(tarfile.LENGTH_NAME, b"\0"),
        before_size,
        size,
        before_checksum,
        checksum,
        behind,
    )


@functools.cache
def _template(mode: int) -> tuple[bytes, bytes, bytes, int]:
    """What stands around the size and the checksum of a file of that mode, and its share of the checksum."""
    header = _header("", tarfile.REGTYPE, mode)
    own = int(header[_CHECKSUM][:6], 8) - sum(b"%011o" % 0)
    return (
        header[_NAME.stop : _SIZE.start],
        header[_SIZE.stop - 1 : _CHECKSUM.start],
        header[_CHECKSUM.start + 6 :],
        own,
    )


def _header(
    name: str,
    kind: bytes,
    mode: int,
    *,
    size_bytes: int = 0,
    target: str = "",
    records: Mapping[str, str] = MappingProxyType({}),
) -> bytes:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = mode
    info.size = size_bytes
    info.linkname = target
    info.pax_headers = dict(records)
    return info.tobuf(tarfile.PAX_FORMAT if records else tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
