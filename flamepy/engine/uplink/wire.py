# SPDX-License-Identifier: Apache-2.0
"""Messages of the uplink: a pickled tuple of our own records, and the blobs that it refers to by position.

One packet per message; what is too long for a packet travels in a segment, big blobs as descriptors.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from flamepy.cache.api import Value
from flamepy.cache.blob import Blob, blob_of
from flamepy.cache.segment import Segment
from flamepy.core.descriptors import received_descriptors, too_few_descriptors
from flamepy.engine.completion import Outcome
from flamepy.errors import FlameError
from flamepy.protocol import frames

# 1 = the body is in the first descriptor; number of the request; bytes of the pickle; number of blobs
_HEAD = struct.Struct("<BQII")
_MAX_ADDRESS_BYTES = 100
FIRST_REQUEST = 1  # the number of the first request on a connection; 0 is that of what needs no answer
_ANCILLARY_BYTES = socket.CMSG_SPACE(frames.FDS_PER_PACKET * 4)


@contextlib.contextmanager
def short_address(path: str) -> Iterator[str]:
    """A name for the socket at ``path`` that fits into a socket address (104 to 108 bytes); TMPDIR may be deep."""
    if len(os.fsencode(path)) < _MAX_ADDRESS_BYTES:
        yield path
        return
    directory, name = os.path.split(path)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


def send_message(to: socket.socket, message: tuple[Any, ...], blobs: Sequence[Blob] = ()) -> None:
    """Send one message; blocks while the other end does not read. Raises OSError when it is gone.

    message: begins with the number of its request.
    """
    if sum(blob.segment is not None for blob in blobs) > frames.FDS_PER_PACKET - 1:
        blobs = [blob.in_place() for blob in blobs]
    data = pickle.dumps(message, protocol=5)
    parts: list[bytes] = [data]
    fds: list[int] = []
    for blob in blobs:
        blob.write_to(parts, fds)
    length = sum(map(len, parts))
    is_away = length > frames.PACKET_BYTES - _HEAD.size
    head = _HEAD.pack(is_away, message[0], len(data), len(blobs))
    if is_away:
        segment = Segment.of(parts, length)
        socket.send_fds(to, [head + frames.WORD.pack(length)], [segment.fileno(), *fds])
    else:
        socket.send_fds(to, [b"".join([head, *parts])], fds)


class Received(NamedTuple):
    """A message and its blobs; with ``damage`` the blobs are lost, because this process may open no more files.

    A long message is then lost itself, but for the number of its request: the rest of it is None.
    """

    message: tuple[int, Any, Any]
    blobs: list[Blob]
    damage: FlameError | None = None


def receive_message(source: socket.socket) -> Received | None:
    """Wait for one message; None when the other end is gone, and all that it has sent was received."""
    try:
        packet, ancillary, flags, _ = _receive_packet(source)
    except OSError:
        return None
    if not packet:
        return None
    fds = received_descriptors(ancillary)
    is_away, request_id, data_length, blob_count = _HEAD.unpack_from(packet)
    if flags & socket.MSG_CTRUNC:
        for fd in fds:
            os.close(fd)
        damage = too_few_descriptors("cannot take a value from another process")
        if is_away:
            return Received((request_id, None, None), [], damage)
        return Received(pickle.loads(packet[_HEAD.size : _HEAD.size + data_length]), [], damage)
    body: bytes | memoryview = packet
    offset, next_fd = _HEAD.size, 0
    if is_away:
        body = Segment(fds[0], frames.WORD.unpack_from(packet, offset)[0]).map_private()
        offset, next_fd = 0, 1
    message = pickle.loads(body[offset : offset + data_length])
    offset += data_length
    blobs = []
    for _ in range(blob_count):
        blob, offset, next_fd = Blob.read_from(body, offset, fds, next_fd)
        blobs.append(blob)
    return Received(message, blobs)


def _receive_packet(source: socket.socket) -> tuple[bytes, list[tuple[int, int, bytes]], int, Any]:
    limits = frames.PACKET_BYTES, _ANCILLARY_BYTES, socket.MSG_CMSG_CLOEXEC
    try:
        return source.recvmsg(*limits)
    except ConnectionResetError:
        # The other end has closed without reading all that was sent to it. Linux says so once, and before it hands out
        # what had arrived by then: the reason for the closing, for example.
        return source.recvmsg(*limits)


@dataclass(frozen=True)
class _BlobAt:
    """Stands for a blob in a pickled record: descriptors cannot be pickled."""

    index: int


def without_blobs(outcome: Outcome, blobs: list[Blob]) -> Outcome:
    """The outcome with its blobs moved to ``blobs``, also those of the outcome that it failed because of."""

    def moved(value: Value | None) -> Any:
        if value is None:
            return None
        blobs.append(blob_of(value))
        return _BlobAt(len(blobs) - 1)

    failed_dependency = None if outcome.failed_dependency is None else without_blobs(outcome.failed_dependency, blobs)
    return replace(
        outcome, value=moved(outcome.value), failure=moved(outcome.failure), failed_dependency=failed_dependency
    )


def with_blobs(outcome: Outcome, blobs: Sequence[Blob]) -> Outcome:
    """The reverse of ``without_blobs``."""

    def back(place: Any) -> Blob | None:
        return blobs[place.index] if isinstance(place, _BlobAt) else None

    failed_dependency = None if outcome.failed_dependency is None else with_blobs(outcome.failed_dependency, blobs)
    return replace(
        outcome, value=back(outcome.value), failure=back(outcome.failure), failed_dependency=failed_dependency
    )
