# SPDX-License-Identifier: Apache-2.0
"""What the engine tells a worker besides calls: records, their packets, and back."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from typing import NamedTuple

from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.protocol import frames


@dataclass(frozen=True)
class Forget:
    """The session is closed: drop what it left in the worker."""

    session_number: int


@dataclass(frozen=True)
class Keep:
    """The answer to a recall. recalls: how many there have been; number: of the call that stays here, 0 = none."""

    recalls: int
    number: int


class AuthKey(bytes):
    """What multiprocessing authenticates with in the caller, which uses it by now."""


class ImportPath(NamedTuple):
    """The entries of the caller's ``sys.path`` before and behind the package."""

    before: tuple[str, ...]
    behind: tuple[str, ...]


Command = Forget | Keep | AuthKey | ImportPath
LEAVE_PACKET = bytes([frames.LEAVE])


def command_packet(command: Command) -> tuple[bytes, Blob | None]:
    """The packet, and what holds its one descriptor until it is sent."""
    if isinstance(command, Forget):
        return frames.CALL_HEAD.pack(frames.FORGET, 0, command.session_number, 0, 0, 0), None
    if isinstance(command, Keep):
        return frames.KEEP_HEAD.pack(frames.KEEP, command.recalls, command.number), None
    if isinstance(command, AuthKey):
        return bytes([frames.AUTHKEY]) + command, None
    content = Blob.of(Payload(pickle.dumps(tuple(command))))
    parts: list[bytes] = [bytes([frames.PATH])]
    content.write_to(parts, [])
    return b"".join(parts), content


def read_command(packet: bytes, fds: list[int]) -> Command | None:
    """What the packet says; None for one that asks to leave."""
    kind = packet[0]
    if kind == frames.FORGET:
        return Forget(frames.CALL_HEAD.unpack_from(packet)[2])
    if kind == frames.KEEP:
        return Keep(*frames.KEEP_HEAD.unpack(packet)[1:])
    if kind == frames.AUTHKEY:
        return AuthKey(packet[1:])
    if kind == frames.PATH:
        content, _, _ = Blob.read_from(packet, 1, fds, 0)
        return ImportPath(*pickle.loads(content.payload().data))
    return None
