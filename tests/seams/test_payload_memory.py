# SPDX-License-Identifier: Apache-2.0
"""Which payloads of the server move to files, and that none is lost by it."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from flamepy.server.objects.payload_memory import PayloadMemory


def of(letter: bytes) -> pa.Buffer:
    return pa.py_buffer(letter * 100)


def files(directory: Path) -> list[bytes]:
    return [path.read_bytes()[:1] for path in sorted(directory.iterdir())]


def test_the_payload_that_was_used_longest_ago_moves_first(tmp_path: Path) -> None:
    memory = PayloadMemory(250, tmp_path)
    a, b = memory.hold(of(b"a")), memory.hold(of(b"b"))
    memory.used(a)
    c = memory.hold(of(b"c"))
    assert files(tmp_path) == [b"b"]
    assert [each.buffer().to_pybytes() for each in (a, b, c)] == [b"a" * 100, b"b" * 100, b"c" * 100]


def test_a_file_goes_with_its_payload_and_readers_keep_what_they_have(tmp_path: Path) -> None:
    memory = PayloadMemory(0, tmp_path)
    payload = memory.hold(of(b"a"))
    read = payload.buffer()
    del payload
    assert files(tmp_path) == []
    assert read.to_pybytes() == b"a" * 100


def test_what_was_dropped_leaves_its_room_to_others(tmp_path: Path) -> None:
    memory = PayloadMemory(250, tmp_path)
    dropped, kept = memory.hold(of(b"a")), memory.hold(of(b"b"))
    memory.drop(dropped)
    memory.drop(dropped)
    memory.hold(of(b"c"))
    assert files(tmp_path) == []
    assert kept.nbytes == 100


def test_what_cannot_be_written_stays_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory = PayloadMemory(50, tmp_path / "missing")
    assert memory.hold(of(b"a")).buffer().to_pybytes() == b"a" * 100
    assert "stays in memory" in caplog.text
