# SPDX-License-Identifier: Apache-2.0
"""Segments of shared memory: private maps, the move to disk, full memory, and no descriptor left behind."""

from __future__ import annotations

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from flamepy.cache.segment import Segment, in_memory, on_disk
from flamepy.core.descriptors import WANTED_DESCRIPTORS, raise_descriptor_limit
from flamepy.errors import FlameError

CONTENT = bytes(range(256)) * 300
FULL_DEVICE = "/dev/full"
needs_memfd = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory without a name")
needs_full_device = pytest.mark.skipif(not os.path.exists(FULL_DEVICE), reason="this system has no full device")


def segment_of(content: bytes = CONTENT) -> Segment:
    return Segment.of([content], len(content))


def full(nbytes: int) -> int:
    """A place in which there is never any room."""
    return os.open(FULL_DEVICE, os.O_RDWR)


def test_a_segment_holds_its_parts_one_after_another() -> None:
    segment = Segment.of([b"ab", memoryview(b"cdef")[::1], b""], 6)
    assert bytes(segment.map_private()) == b"abcdef"


def test_an_empty_segment_can_be_mapped_and_moved(tmp_path: Path) -> None:
    segment = Segment.of([], 0)
    segment.spill(str(tmp_path))
    assert bytes(segment.map_private()) == b""


def test_nobody_sees_what_is_written_into_a_private_map() -> None:
    segment = segment_of()
    first, second = segment.map_private(), segment.map_private()
    first[:2] = b"!!"
    assert bytes(second) == bytes(segment.map_private()) == CONTENT
    assert bytes(first[:3]) == b"!!\x02"


def test_a_map_stays_valid_when_its_segment_is_closed() -> None:
    segment = segment_of()
    view = segment.map_private()
    segment.close()
    segment.close()
    assert bytes(view) == CONTENT


def test_a_closed_segment_is_refused_instead_of_read_as_zeros() -> None:
    segment = segment_of()
    segment.close()
    with pytest.raises(ValueError, match="is closed"):
        segment.map_private()
    assert not segment.is_in_memory()


def test_a_dropped_segment_gives_its_descriptor_back() -> None:
    segment = segment_of()
    fd = segment.fileno()
    os.fstat(fd)
    del segment
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@needs_memfd
def test_a_moved_segment_keeps_number_content_and_maps_and_leaves_no_file(tmp_path: Path) -> None:
    segment = segment_of()
    fd, old_view = segment.fileno(), segment.map_private()
    assert segment.is_in_memory()
    segment.spill(str(tmp_path))
    assert segment.fileno() == fd
    assert bytes(segment.map_private()) == bytes(old_view) == CONTENT
    assert os.fstat(fd).st_dev == tmp_path.stat().st_dev
    assert not segment.is_in_memory()
    assert not os.get_inheritable(fd)
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_cannot_be_moved_stays_as_it_was(tmp_path: Path) -> None:
    segment = segment_of()
    before = os.fstat(segment.fileno())
    with pytest.raises(FileNotFoundError):
        segment.spill(str(tmp_path / "missing"))
    assert os.fstat(segment.fileno()).st_ino == before.st_ino
    assert bytes(segment.map_private()) == CONTENT


@needs_full_device
def test_the_next_place_is_used_when_one_is_full() -> None:
    segment = Segment.of([CONTENT], len(CONTENT), places=[full, on_disk])
    assert bytes(segment.map_private()) == CONTENT
    assert not segment.is_in_memory()


@needs_full_device
def test_when_every_place_is_full_the_error_says_how_to_get_room() -> None:
    with pytest.raises(FlameError, match=r"76,800 bytes.*FLAME_MEMORY_LIMIT.*TMPDIR") as caught:
        Segment.of([CONTENT], len(CONTENT), places=[full, full])
    assert isinstance(caught.value.__cause__, OSError)


@needs_full_device
def test_a_failed_segment_leaves_no_descriptor() -> None:
    gc.collect()  # what earlier tests left to the collector must not go meanwhile
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(FlameError):
        Segment.of([CONTENT], len(CONTENT), places=[full, full])
    assert len(os.listdir("/dev/fd")) == before


NO_DESCRIPTORS = """
import resource
from flamepy.cache.segment import Segment
from flamepy.errors import FlameError
resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20))
held = []
try:
    for _ in range(50):
        held.append(Segment.of([b"x"], 1))
except FlameError as error:
    print(len(held), error)
"""

FORK_WHILE_LOCKED = """
import os, threading
from flamepy.cache import segment
from flamepy.cache.segment import Segment
kept = Segment.of([b"x"], 1)
locked, leave = threading.Event(), threading.Event()
def hold():
    with segment._descriptors:
        locked.set()
        leave.wait(30)
holder = threading.Thread(target=hold)
holder.start()
locked.wait(30)
child = os.fork()
if child == 0:
    kept.close()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
leave.set()
holder.join()
"""


def printed_by_a_fresh_interpreter(code: str) -> str:
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env=environ,
        capture_output=True,
        check=True,
        text=True,
        timeout=60,
    )
    return done.stdout


def test_too_many_values_for_the_open_files_of_a_process_are_explained() -> None:
    assert (
        "too many open files (20 are allowed; each big value is one). Drop results"
        in printed_by_a_fresh_interpreter(NO_DESCRIPTORS)
    )


def test_a_forked_child_can_close_what_it_inherited_while_another_thread_was_at_it() -> None:
    assert printed_by_a_fresh_interpreter(FORK_WHILE_LOCKED) == "7\n"


def test_the_limit_of_open_files_is_raised_as_far_as_allowed() -> None:
    code = """
import resource
from flamepy.core.descriptors import raise_descriptor_limit
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
print(raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""
    returned, soft, hard = map(int, printed_by_a_fresh_interpreter(code).split())
    allowed = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    assert returned == soft == allowed


def test_a_limit_that_is_high_enough_is_left_alone() -> None:
    raise_descriptor_limit()
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raise_descriptor_limit() == before[0]
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == before


@needs_memfd
def test_a_segment_in_memory_is_told_from_one_on_disk() -> None:
    for place, expected in ((in_memory, True), (on_disk, False)):
        assert Segment.of([CONTENT], len(CONTENT), places=[place]).is_in_memory() is expected
