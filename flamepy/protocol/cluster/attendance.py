# SPDX-License-Identifier: Apache-2.0
"""What caller and worker tell each other of a packet that runs: by two objects of the cache, each written by one."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

from flamepy.errors import FlameError
from flamepy.protocol.cluster.fields import packed
from flamepy.protocol.cluster.packets import VERSION, behind_version

SIGN_S = 5.0  # a worker gives a sign at least so often, and so does the caller of a packet that runs for long
WORKER_SILENT_S = 60.0  # without a sign for so long, the worker is taken for lost
CALLER_SILENT_S = 600.0  # and the caller for gone: a laptop that sleeps for some minutes keeps its calls
_NUMBER = struct.Struct("<Q")


def begun_of(packet_id: str) -> str:
    """The name of the object that whoever puts it first owns the packet by: a worker that begins it, or its caller."""
    return f"begun-{packet_id}"


def control_of(packet_id: str) -> str:
    """The name of the object by which the caller tells the worker what to do with the packet, and that it is there."""
    return f"control-{packet_id}"


def sign_of(packet_id: str) -> str:
    """The name of the object by which the worker tells how far it is."""
    return f"sign-{packet_id}"


def cancels(numbers: Iterable[int]) -> bytes:
    """The content of a control object: these calls shall end."""
    return packed([VERSION, *(_NUMBER.pack(each) for each in sorted(numbers))])


def cancels_of(data: bytes | memoryview) -> set[int]:
    """Nothing, where it cannot be read."""
    try:
        return {_NUMBER.unpack(each)[0] for each in behind_version(data)}
    except (FlameError, struct.error):
        return set()


@dataclass(frozen=True)
class Sign:
    """number: of the call that runs. output: the tail of what it has printed."""

    number: int
    output: bytes

    def written(self) -> bytes:
        return packed([VERSION, _NUMBER.pack(self.number), self.output])

    @classmethod
    def read(cls, data: bytes | memoryview) -> Sign | None:
        """None where it cannot be read."""
        try:
            number, output = behind_version(data)
            return cls(_NUMBER.unpack(number)[0], bytes(output))
        except (FlameError, ValueError, struct.error):
            return None
