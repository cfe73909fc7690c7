# SPDX-License-Identifier: Apache-2.0
"""What travels inside the tasks of a cluster comes back as it was; whatever else is read is refused in one line."""

from __future__ import annotations

import random

import pytest

from flamepy.codec.framed import nbytes_of, parts_of, payload_of
from flamepy.codec.payload import Payload
from flamepy.errors import FlameError
from flamepy.protocol.cluster import packets
from flamepy.protocol.cluster.attendance import Sign, cancels, cancels_of
from flamepy.protocol.cluster.packets import RemoteCall, RemoteReport
from flamepy.protocol.cluster.parcels import Parcel

CALLS = [
    RemoteCall(1, "service", Parcel(2, b"ab"), Parcel(0, b"")),
    RemoteCall(
        2**63, "s", Parcel(7, key="app/s/o"), Parcel(1, b"r"), (Parcel(3, b"xyz"), Parcel(5, key="a/b/c")),
        Parcel(2, b"st"), 2**40, is_stateful=True, name="Zähler.add",
    ),
]  # fmt: skip
REPORTS = [
    RemoteReport(1, packets.OK, Parcel(3, b"val")),
    RemoteReport(
        2, packets.FAILED, Parcel(9, key="app/s/o"), Parcel(1, b"n"), 8, "not saved", b"out\n", b"err\n", 1.5, 0.25
    ),
]


def test_calls_and_reports_come_back_as_they_were() -> None:
    assert packets.calls_of(packets.task_input("packet", CALLS)) == ("packet", CALLS)
    assert packets.reports_of(packets.task_output(REPORTS)) == REPORTS
    assert cancels_of(cancels({3, 1})) == {1, 3}
    assert Sign.read(Sign(3, b"out").written()) == Sign(3, b"out")


@pytest.mark.parametrize(
    "buffers", [[], [b"x" * 20_000], [b"", b"abc", bytes(100_000)]], ids=["none", "one", "an empty one among them"]
)
def test_a_payload_comes_back_with_buffers_of_its_own(buffers: list[bytes]) -> None:
    sent = Payload(b"stream", [memoryview(each) for each in buffers])
    parts = parts_of(sent)
    whole = b"".join(parts)
    assert nbytes_of(parts) == len(whole)
    read = payload_of(whole)
    assert bytes(read.data) == b"stream"
    assert [bytes(each) for each in read.buffers] == buffers
    assert not any(each.readonly for each in read.buffers)


def _damaged(whole: bytes, random_: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(random_.randrange(1, 4)):
        data[random_.randrange(len(data))] = random_.randrange(256)
    return bytes(data[: random_.randrange(len(data) + 1)])


def test_whatever_bytes_are_read_the_worst_is_a_flame_error() -> None:
    random_ = random.Random(10)
    wholes = [packets.task_input("packet", CALLS), packets.task_output(REPORTS), b"".join(parts_of(Payload(b"x" * 50)))]
    wholes += [cancels({1, 2}), Sign(1, b"x" * 50).written()]
    refusals = []
    for _ in range(3000):
        data = _damaged(random_.choice(wholes), random_)
        cancels_of(data)  # tells nothing where there is nothing to be told
        Sign.read(data)
        for read in (packets.calls_of, packets.reports_of, payload_of):
            try:
                read(data)
            except FlameError as error:
                refusals.append(str(error))
    assert len(refusals) > 5000
    assert all("open the Runner again" in each for each in refusals)
