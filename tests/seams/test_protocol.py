# SPDX-License-Identifier: Apache-2.0
"""What engine and worker say to each other arrives as it was said, whatever its size; garbage leaks no descriptor."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from flamepy.cache.blob import INLINE_LIMIT_BYTES, Blob
from flamepy.codec.payload import Payload
from flamepy.protocol import frames
from flamepy.protocol.calls import CallFrame, damaged_call, packet_of, plain_packet, read_calls
from flamepy.protocol.commands import AuthKey, Command, Forget, ImportPath, Keep, command_packet, read_command
from flamepy.protocol.report import Report, decoded, encoded, opened

SMALL, BIG = b"small", bytes(range(256)) * (INLINE_LIMIT_BYTES // 128)


def blob(data: bytes, *buffers: bytes) -> Blob:
    return Blob.of(Payload(data, [memoryview(buffer) for buffer in buffers]))


def content(blob: Blob | None) -> list[bytes] | None:
    if blob is None:
        return None
    payload = blob.payload()
    return [bytes(payload.data), *map(bytes, payload.buffers)]


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def no_descriptor_is_left() -> Iterator[None]:
    before = len(open_descriptors())
    yield
    assert len(open_descriptors()) == before


def sent(fds: list[int]) -> list[int]:
    """The descriptors as they arrive in another process: others, of the same files."""
    return [os.dup(fd) for fd in fds]


def arrived(report: Report) -> Report:
    frame, packet = encoded(report, worker_id=3, number=9)
    [(head, body)], rest = frames.split_frames(frame)
    assert (rest, head.worker_id, head.number) == (b"", 3, 9)
    fds = [] if packet is None else sent(list(packet.fds))
    found = decoded(head, body if packet is None else opened(packet.data, fds), fds)
    assert not fds, "each descriptor has an owner"
    return found


TEXT = "warning 🔥"


@pytest.mark.parametrize(
    "report",
    [
        Report(frames.OK, blob(SMALL)),
        Report(frames.OK, blob(b"")),
        Report(frames.OK, blob(SMALL), duration_s=1.5, importing_s=0.25),
        Report(frames.OK, blob(b"x" * (frames.PIPE_FRAME_BYTES - frames.RESULT_HEAD.size))),
        Report(frames.OK, blob(b"x" * (frames.PIPE_FRAME_BYTES - frames.RESULT_HEAD.size + 1))),
        Report(frames.OK, blob(SMALL, b"buffer", b"")),
        Report(frames.OK, blob(BIG)),
        Report(frames.OK, blob(SMALL, BIG), blob(BIG), "", b"", b""),
        Report(frames.CANCELLED, blob(b""), output=b"said"),
        Report(frames.FAILED, blob(SMALL), None, TEXT, b"out", b"err", 2.0),
        Report(frames.OK, blob(BIG), blob(SMALL), TEXT, BIG * 4, BIG),
        Report(frames.OK, blob(SMALL), output=b"x" * frames.PACKET_BYTES),
    ],
)
def test_a_report_arrives_as_it_was_made(report: Report) -> None:
    found = arrived(report)
    assert (content(found.body), content(found.new_state)) == (content(report.body), content(report.new_state))
    for name in ("status", "warning", "output", "errors", "duration_s", "importing_s"):
        assert getattr(found, name) == getattr(report, name), name


def test_how_long_was_imported_is_told_up_to_a_bound() -> None:
    assert arrived(Report(frames.OK, blob(SMALL), importing_s=1e9)).importing_s == frames.MAX_TICKS * frames.TICK_S


def test_a_report_that_is_cut_off_raises_and_every_descriptor_has_an_owner() -> None:
    report = Report(frames.OK, blob(BIG), blob(BIG), TEXT, SMALL)
    frame, packet = encoded(report, worker_id=1, number=1)
    [(head, _)], _ = frames.split_frames(frame)
    assert packet is not None
    body = packet.data[1:]
    whole = 0
    for end in range(len(body) + 1):
        fds = sent(list(packet.fds))
        try:
            found = decoded(head, body[:end], fds)
            whole += (found.warning, found.output) == (TEXT, SMALL)
        except Exception:
            for fd in fds:
                os.close(fd)
            fds.clear()
        assert not fds
    assert whole == 1


@pytest.mark.parametrize(
    "call",
    [
        CallFrame(1, 2, blob(SMALL)),
        CallFrame(2**63, 2**31, blob(BIG)),
        CallFrame(1, 2, blob(SMALL, BIG), [blob(BIG), blob(SMALL)]),
        CallFrame(1, 2, blob(SMALL), [], blob(BIG), blob(SMALL)),
        CallFrame(1, 2, blob(SMALL), [blob(SMALL)], blob(SMALL)),
        CallFrame(1, 2, blob(SMALL), [], None, blob(BIG)),
        CallFrame(1, 2, blob(SMALL), [blob(BIG[:INLINE_LIMIT_BYTES]) for _ in range(9)]),
        CallFrame(1, 2, blob(SMALL), [blob(BIG) for _ in range(frames.FDS_PER_PACKET + 9)]),
    ],
)
def test_a_call_arrives_as_it_was_made(call: CallFrame) -> None:
    packet, fds, segment = packet_of(call)
    [found] = read_calls(packet, sent(fds))
    del segment
    assert (found.number, found.session_number, found.damage) == (call.number, call.session_number, None)
    assert content(found.request) == content(call.request)
    assert [content(each) for each in found.dependencies] == [content(each) for each in call.dependencies]
    assert (content(found.definition), content(found.checkpoint)) == (
        content(call.definition),
        content(call.checkpoint),
    )


def test_small_calls_share_a_packet() -> None:
    packet = plain_packet(7, [(1, b"one"), (2, b""), (3, b"three")])
    found = read_calls(packet, [])
    assert [(call.session_number, call.number, call.request.data) for call in found] == [
        (7, 1, b"one"), (7, 2, b""), (7, 3, b"three"),
    ]  # fmt: skip


def test_a_call_without_its_descriptors_says_which_call_it_is() -> None:
    call = CallFrame(5, 6, blob(SMALL, BIG))
    packet, fds, segment = packet_of(call)
    damaged = damaged_call(packet, sent(fds))
    del segment
    assert (damaged.number, damaged.session_number) == (5, 6)
    assert "too many open files" in str(damaged.damage)


@pytest.mark.parametrize(
    "command",
    [
        Forget(3),
        Keep(1, 2**40),
        AuthKey(b"key"),
        AuthKey(b""),
        ImportPath(("a", "b"), ()),
        ImportPath((), ("x" * 10**5,)),
    ],
)
def test_a_command_arrives_as_it_was_made(command: Command) -> None:
    packet, holder = command_packet(command)
    fds = [] if holder is None or holder.segment is None else [holder.segment.fileno()]
    found = read_command(packet, sent(fds))
    assert (type(found), found) == (type(command), command)
