# SPDX-License-Identifier: Apache-2.0
"""A payload comes out of a blob as it went in, as a private copy, on this and on the other side of a process border."""

from __future__ import annotations

import gc
import os
from typing import Any

import numpy as np
import pytest

from flamepy.cache.blob import INLINE_LIMIT_BYTES, Blob
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import decode, encode

BIG = INLINE_LIMIT_BYTES * 2


def parts_of(payload: Payload) -> list[bytes]:
    return [bytes(payload.data), *(bytes(buffer) for buffer in payload.buffers)]


def sent(blobs: list[Blob]) -> list[Blob]:
    """The blobs as a receiver sees them: one frame, copies of the descriptors."""
    parts: list[bytes] = []
    fds: list[int] = []
    for blob in blobs:
        blob.write_to(parts, fds)
    frame, received = b"head" + b"".join(parts), [os.dup(fd) for fd in fds]
    offset, next_fd = 4, 0
    result = []
    for _ in blobs:
        blob, offset, next_fd = Blob.read_from(frame, offset, received, next_fd)
        result.append(blob)
    assert (offset, next_fd) == (len(frame), len(received))
    return result


SHAPES = [
    pytest.param([0], id="empty stream"),
    pytest.param([5], id="small stream"),
    pytest.param([INLINE_LIMIT_BYTES], id="just in place"),
    pytest.param([INLINE_LIMIT_BYTES + 1], id="just in a segment"),
    pytest.param([7, 0, 3, 0], id="small buffers, some empty"),
    pytest.param([7, BIG, 0, 1, 64, BIG + 1, 0], id="big buffers, some empty"),
    pytest.param([BIG, 65], id="big stream"),
]


@pytest.mark.parametrize("lengths", SHAPES)
def test_parts_of_every_length_come_back_here_and_on_the_other_side(lengths: list[int]) -> None:
    parts = [bytes([65 + index]) * length for index, length in enumerate(lengths)]
    blob = Blob.of(Payload(parts[0], [memoryview(part) for part in parts[1:]]))
    assert blob.nbytes == sum(lengths)
    assert (blob.segment is not None) == (sum(lengths) > INLINE_LIMIT_BYTES)
    (other,) = sent([blob])
    assert parts_of(blob.payload()) == parts
    assert parts_of(other.payload()) == parts


def test_a_frame_holds_several_blobs_in_order() -> None:
    values: list[object] = [1, np.arange(BIG), "x", np.ones(BIG), np.arange(3_000)]
    for value, blob in zip(values, sent([Blob.of(encode(value)) for value in values]), strict=True):
        np.testing.assert_array_equal(decode(blob.payload()), value)


@pytest.mark.parametrize("count", [10, 3_000, 100_000], ids=["in the stream", "in place", "in a segment"])
def test_each_reader_gets_a_private_writable_copy(count: int) -> None:
    original = np.arange(count, dtype="f8")
    blob = Blob.of(encode(original))
    first: Any = decode(blob.payload())
    second: Any = decode(blob.payload())
    (other,) = sent([blob])
    first[:] = -1
    original[:] = -2
    expected = np.arange(count, dtype="f8")
    np.testing.assert_array_equal(second, expected)
    np.testing.assert_array_equal(decode(other.payload()), expected)
    np.testing.assert_array_equal(decode(blob.payload()), expected)
    assert (first == -1).all()


@pytest.mark.parametrize("count", [2_500, 100_000], ids=["in place", "in a segment"])
def test_numbers_are_aligned_whatever_lies_before_them(count: int) -> None:
    for padding in range(9):
        pair: Any = decode(Blob.of(encode(("x" * padding, np.ones(count)))).payload())
        assert pair[1].flags.aligned
        assert pair[1].flags.writeable


def test_a_value_outlives_its_blob_and_its_payload() -> None:
    array: Any = decode(Blob.of(encode(np.arange(BIG))).payload())
    part = array[-3:]
    del array
    gc.collect()
    assert part.tolist() == [BIG - 3, BIG - 2, BIG - 1]


def test_views_of_one_array_become_separate_copies_and_one_array_stays_one() -> None:
    array = np.arange(BIG)
    again: Any = decode(Blob.of(encode([array, array, array[:]])).payload())
    again[0][0] = 99
    assert again[0] is again[1]
    assert again[2][0] == 0


def test_many_big_values_made_and_dropped_leave_no_descriptor() -> None:
    array = np.ones(1_000_000 // 8)
    gc.collect()
    before = len(os.listdir("/dev/fd"))
    for _ in range(300):
        assert decode(Blob.of(encode(array)).payload())[-1] == 1  # type: ignore[index] # an array
    gc.collect()
    assert len(os.listdir("/dev/fd")) <= before
