# SPDX-License-Identifier: Apache-2.0
"""The input of a task: calls for our worker; its output: how they ended. Many small calls share a task."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from flamepy.protocol.cluster.fields import damaged, packed, unpacked
from flamepy.protocol.cluster.parcels import Parcel, optional_field, read_optional

VERSION = b"flame-jupyter tasks 1"  # another release at the other end says so, instead of reading nonsense
_CALL = struct.Struct("<QQ?")  # number, generation of the state, is the service stateful
_REPORT = struct.Struct("<QBQdd")  # number, status, generation of the new state, duration, importing (seconds)

ONE_PROCESS = b"one process"  # what a session is opened with in which a second worker must not run
SECOND_WORKER = "flame-jupyter: another worker has this object already, and there is one of it."
OK, FAILED, CANCELLED, REFUSED = range(4)


@dataclass(frozen=True)
class RemoteCall:
    """One call for a worker of a cluster.

    number: of this sending. service: the id of the session that the caller opened; definition: what it runs.
    state: of a stateful service, after the call before; generation: how many changes of state have been acknowledged,
    0 = it is as the definition makes it. A worker that keeps an object of this generation needs no ``state``.
    name: for people.
    """

    number: int
    service: str
    definition: Parcel
    request: Parcel
    arguments: Sequence[Parcel] = ()
    state: Parcel | None = None
    generation: int = 0
    is_stateful: bool = False
    name: str = ""

    def field(self) -> bytes:
        return packed(
            [
                _CALL.pack(self.number, self.generation, self.is_stateful),
                self.service.encode(),
                self.name.encode(),
                self.definition.field(),
                self.request.field(),
                optional_field(self.state),
                *(each.field() for each in self.arguments),
            ]
        )

    @classmethod
    def read(cls, field: memoryview) -> RemoteCall:
        """Raises FlameError for what is no call."""
        fields = unpacked(field)
        if len(fields) < 6 or len(fields[0]) != _CALL.size:
            raise damaged()
        number, generation, is_stateful = _CALL.unpack(fields[0])
        return cls(
            number,
            _text(fields[1]),
            Parcel.read(fields[3]),
            Parcel.read(fields[4]),
            tuple(Parcel.read(each) for each in fields[6:]),
            read_optional(fields[5]),
            generation,
            is_stateful,
            _text(fields[2]),
        )


@dataclass(frozen=True)
class RemoteReport:
    """How one call ended. status: one of those below; warning, output, errors and times as in ``report.Report``.

    body: the value; of FAILED the ``protocol.failure.Failure``; of REFUSED and CANCELLED the FlameError of the worker's
    engine, pickled.
    new_state: of a stateful service, when it changed; generation: of the state after the call.
    """

    number: int
    status: int
    body: Parcel
    new_state: Parcel | None = None
    generation: int = 0
    warning: str = ""
    output: bytes = b""
    errors: bytes = b""
    duration_s: float = 0.0
    importing_s: float = 0.0

    def field(self) -> bytes:
        return packed(
            [
                _REPORT.pack(self.number, self.status, self.generation, self.duration_s, self.importing_s),
                self.body.field(),
                optional_field(self.new_state),
                self.warning.encode(),
                self.output,
                self.errors,
            ]
        )

    @classmethod
    def read(cls, field: memoryview) -> RemoteReport:
        """Raises FlameError for what is no report."""
        head, body, new_state, warning, output, errors = unpacked(field, 6)
        if len(head) != _REPORT.size:
            raise damaged()
        number, status, generation, duration_s, importing_s = _REPORT.unpack(head)
        return cls(
            number,
            status,
            Parcel.read(body),
            read_optional(new_state),
            generation,
            bytes(warning).decode(errors="replace"),
            bytes(output),
            bytes(errors),
            duration_s,
            importing_s,
        )


def task_input(packet_id: str, calls: Sequence[RemoteCall]) -> bytes:
    """packet_id: of these calls, whatever task takes them to a worker."""
    return packed([VERSION, packet_id.encode(), *(each.field() for each in calls)])


def calls_of(data: bytes) -> tuple[str, list[RemoteCall]]:
    """The packet's id, and the calls. Raises FlameError for what is no input of ours."""
    fields = behind_version(data)
    if not fields:
        raise damaged()
    return _text(fields[0]), [RemoteCall.read(each) for each in fields[1:]]


def task_output(reports: Sequence[RemoteReport]) -> bytes:
    return packed([VERSION, *(each.field() for each in reports)])


def reports_of(data: bytes) -> list[RemoteReport]:
    """Raises FlameError for what is no output of ours."""
    return [RemoteReport.read(each) for each in behind_version(data)]


def behind_version(data: bytes | memoryview) -> list[memoryview]:
    """Raises FlameError for what another release wrote, or nobody."""
    fields = unpacked(data)
    if not fields or fields[0] != VERSION:
        raise damaged()
    return fields[1:]


def _text(field: memoryview) -> str:
    try:
        return bytes(field).decode()
    except UnicodeDecodeError:
        raise damaged() from None
