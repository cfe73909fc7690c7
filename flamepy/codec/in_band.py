# SPDX-License-Identifier: Apache-2.0
"""A payload as one ordinary pickle, for readers who know of no buffers beside the stream."""

from __future__ import annotations

import pickletools
import struct

from flamepy.codec.payload import Payload

_FRAME, _NEXT_BUFFER, _READONLY_BUFFER = "FRAME", "NEXT_BUFFER", "READONLY_BUFFER"
_BYTEARRAY8, _BINBYTES8 = b"\x96", b"\x8e"
_LENGTH = struct.Struct("<Q")


def pickle_of(payload: Payload) -> list[bytes | memoryview]:
    """The stream in pieces, to be written one behind the other. Big buffers are referred to, not copied.

    A buffer becomes what the pickler itself writes for one that stays inside: bytes or a bytearray, which have no place
    in the memo. Frames, which a reader does not need, would have other lengths now and are left out.
    """
    if not payload.buffers:
        return [payload.data]
    stream = bytes(payload.data)
    buffers = iter(payload.buffers)
    pieces: list[bytes | memoryview] = []
    begin = 0
    for opcode, _, position in pickletools.genops(stream):
        assert position is not None, "genops tells the position of each step in a byte string"
        if opcode.name == _FRAME:
            pieces.append(stream[begin:position])
            begin = position + 1 + _LENGTH.size
        elif opcode.name == _NEXT_BUFFER:
            buffer = next(buffers)
            code = _BINBYTES8 if buffer.readonly else _BYTEARRAY8
            pieces += [stream[begin:position], code + _LENGTH.pack(buffer.nbytes), buffer]
            begin = position + 1
        elif opcode.name == _READONLY_BUFFER:  # bytes cannot be written anyway
            pieces.append(stream[begin:position])
            begin = position + 1
    pieces.append(stream[begin:])
    return [each for each in pieces if len(each)]
