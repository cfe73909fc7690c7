# SPDX-License-Identifier: Apache-2.0
"""Kept mappings: used again only when nobody could tell them from fresh ones."""

from __future__ import annotations

import os

import pytest

from flamepy.cache.mappings import KEEP_AT_MOST_BYTES, KEEP_FROM_BYTES, KeptMappings
from flamepy.cache.segment import Segment

SIZE_BYTES = 2 * KEEP_FROM_BYTES

pytestmark = pytest.mark.skipif(not os.access("/proc/self/pagemap", os.R_OK), reason="pages cannot be looked at here")


@pytest.fixture
def segment() -> Segment:
    return Segment.of([b"a" * SIZE_BYTES], SIZE_BYTES)


def other_descriptor(segment: Segment) -> Segment:
    """The same memory as it arrives with the next call."""
    return Segment(os.dup(segment.fileno()), segment.nbytes)


def test_a_mapping_that_was_only_read_is_used_again(segment: Segment) -> None:
    mappings = KeptMappings()
    view = mappings.map(segment)
    first = id(view.obj)
    assert bytes(view[:3]) == b"aaa"
    del view
    mappings.settle()
    assert len(mappings) == 1
    assert id(mappings.map(other_descriptor(segment)).obj) == first


def test_a_mapping_that_was_written_is_never_seen_again(segment: Segment) -> None:
    mappings = KeptMappings()
    view = mappings.map(segment)
    view[SIZE_BYTES - 1] = ord("b")
    del view
    mappings.settle()
    assert len(mappings) == 0
    assert bytes(mappings.map(other_descriptor(segment))) == b"a" * SIZE_BYTES


def test_a_mapping_that_somebody_still_reads_is_not_given_to_another(segment: Segment) -> None:
    mappings = KeptMappings()
    held = mappings.map(segment)[5:10]
    mappings.settle()
    assert len(mappings) == 0
    other = mappings.map(other_descriptor(segment))
    assert other.obj is not held.obj
    other[5] = ord("b")
    assert bytes(held) == b"aaaaa"


def test_one_segment_twice_in_a_call_gives_two_private_views(segment: Segment) -> None:
    mappings = KeptMappings()
    one, two = mappings.map(segment), mappings.map(other_descriptor(segment))
    one[0] = ord("b")
    assert two[0] == ord("a")
    del one, two
    mappings.settle()
    assert bytes(mappings.map(segment)) == b"a" * SIZE_BYTES


def test_a_mapping_is_clean_again_after_two_calls_and_dirty_after_the_third(segment: Segment) -> None:
    mappings = KeptMappings()
    for _ in range(2):
        assert mappings.map(segment)[7] == ord("a")
        mappings.settle()
        assert len(mappings) == 1
    mappings.map(segment)[7] = ord("b")
    mappings.settle()
    assert mappings.map(segment)[7] == ord("a")


def test_small_segments_are_not_kept() -> None:
    mappings = KeptMappings()
    mappings.map(Segment.of([b"a" * 5000], 5000))
    mappings.settle()
    assert len(mappings) == 0


def test_what_is_kept_is_bounded_and_the_newest_stay() -> None:
    mappings = KeptMappings()
    size_bytes = KEEP_AT_MOST_BYTES // 2 - 4096
    segments = [Segment.of([], size_bytes) for _ in range(3)]  # holes: no memory is taken
    for segment in segments:
        mappings.map(segment)
    mappings.settle()
    assert len(mappings) == 2
    newest = mappings.map(segments[2])
    mappings.clear()
    assert len(mappings) == 0
    assert newest.nbytes == size_bytes  # whoever has a view keeps it
