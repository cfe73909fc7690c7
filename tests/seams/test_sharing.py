# SPDX-License-Identifier: Apache-2.0
"""The same big argument for many calls is stored once, and nothing else is ever taken for the same."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flamepy.cache.budget import SegmentBudget
from flamepy.cache.sharing import MAX_RECENT, SHARED_BYTES
from flamepy.codec.pickling import decode, encode

MAPS = Path("/proc/self/maps")
COUNT = SHARED_BYTES // 4


@pytest.fixture
def budget() -> SegmentBudget:
    return SegmentBudget(None, None)


def test_the_same_content_is_stored_once_and_counted_once(budget: SegmentBudget) -> None:
    array = np.arange(COUNT)
    blobs = [budget.hold(encode(("add", array))) for _ in range(8)]
    assert len({id(blob.segment) for blob in blobs}) == 1
    assert budget.in_memory_bytes < 2 * array.nbytes
    copies: list[Any] = [decode(blob.payload()) for blob in blobs]
    copies[0][1][:] = -1
    assert (copies[1][1] == array).all()
    assert budget.hold(encode(("add", array))).segment is blobs[0].segment


@pytest.mark.parametrize("place", [0, COUNT // 2, COUNT - 1])
def test_an_array_that_was_changed_anywhere_is_stored_anew(budget: SegmentBudget, place: int) -> None:
    array = np.arange(COUNT)
    before = budget.hold(encode(array))
    array[place] += 1
    after = budget.hold(encode(array))
    assert after.segment is not before.segment
    old: Any = decode(before.payload())
    new: Any = decode(after.payload())
    assert (old[place], new[place]) == (array[place] - 1, array[place])


def test_the_same_buffer_in_another_call_is_another_value(budget: SegmentBudget) -> None:
    array = np.arange(COUNT)
    first, second = budget.hold(encode(("add", array))), budget.hold(encode(("sub", array)))
    assert first.segment is not second.segment
    value: Any = decode(second.payload())
    assert value[0] == "sub"


def test_a_big_stream_without_buffers_is_shared_too(budget: SegmentBudget) -> None:
    first, second = (budget.hold(encode(b"x" * 2 * SHARED_BYTES)) for _ in range(2))
    assert first.segment is second.segment
    assert decode(second.payload()) == b"x" * 2 * SHARED_BYTES


def test_a_read_only_array_is_stored_each_time_and_right(budget: SegmentBudget) -> None:
    array = np.arange(COUNT)
    array.flags.writeable = False
    blobs = [budget.hold(encode(array)) for _ in range(2)]
    for blob in blobs:
        np.testing.assert_array_equal(decode(blob.payload()), array)


def test_a_value_that_nobody_holds_is_forgotten_with_its_memory(budget: SegmentBudget) -> None:
    array = np.arange(COUNT)
    blob = budget.hold(encode(array))
    again = budget.hold(encode(array))
    assert blob.segment is not None
    gone = weakref.ref(blob.segment)
    del blob, again
    gc.collect()
    assert gone() is None
    np.testing.assert_array_equal(decode(budget.hold(encode(array)).payload()), array)


def test_a_value_that_moved_to_disk_is_stored_anew(tmp_path: Path) -> None:
    array = np.arange(COUNT)
    small = SegmentBudget(0, str(tmp_path))
    first, second = small.hold(encode(array)), small.hold(encode(array))
    assert first.segment is not second.segment
    np.testing.assert_array_equal(decode(first.payload()), array)
    np.testing.assert_array_equal(decode(second.payload()), array)


@pytest.mark.skipif(not MAPS.exists(), reason="this system does not list the maps of a process")
def test_moving_a_value_to_disk_frees_the_memory_that_comparisons_looked_at(
    budget: SegmentBudget, tmp_path: Path
) -> None:
    def maps_of_memory() -> int:
        return MAPS.read_text().count("memfd:flame")

    gc.collect()
    before = maps_of_memory()
    array = np.arange(COUNT)
    blob, again = budget.hold(encode(array)), budget.hold(encode(array))
    assert blob.segment is not None
    assert blob.segment is again.segment
    assert maps_of_memory() == before + 1
    blob.segment.spill(str(tmp_path))
    assert maps_of_memory() == before


def test_values_of_a_few_shapes_are_remembered_at_a_time(budget: SegmentBudget) -> None:
    arrays = [np.arange(COUNT + number) for number in range(MAX_RECENT + 1)]
    first = [budget.hold(encode(array)) for array in arrays]
    again = [budget.hold(encode(array)) for array in reversed(arrays)][::-1]
    assert [a.segment is b.segment for a, b in zip(first, again, strict=True)] == [False] + [True] * MAX_RECENT
