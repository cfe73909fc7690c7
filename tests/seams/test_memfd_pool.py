# SPDX-License-Identifier: Apache-2.0
"""Memory of dropped values is used again only when nobody can see it any more."""

from __future__ import annotations

import collections
import gc
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import numpy as np
import pytest

import flamepy
from flamepy import Runner
from flamepy.cache.memfd_pool import KEEP_AT_MOST_BYTES, POOLED_FROM_BYTES, memfd_pool
from flamepy.cache.segment import Segment
from flamepy.engine.local.engine import EmbeddedEngine
from tests.signs import BOUND_S, reached

SIZE_BYTES = 2 * POOLED_FROM_BYTES
pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory without a name")


def owner() -> None:
    """Would see that ``trim`` is called."""


@pytest.fixture(autouse=True)
def kept(request: pytest.FixtureRequest) -> Iterator[None]:
    """An engine keeps memory by itself."""
    if "embedded" in request.fixturenames:
        yield
        return
    memfd_pool.add_owner(owner)
    yield
    memfd_pool.remove_owner(owner)


def segment_of(letter: bytes, size_bytes: int = SIZE_BYTES) -> Segment:
    return Segment.of([letter * size_bytes], size_bytes)


def place_of(segment: Segment) -> int:
    return os.fstat(segment.fileno()).st_ino


def test_the_memory_of_a_dropped_segment_is_used_again() -> None:
    first = segment_of(b"a")
    place = place_of(first)
    del first
    second = segment_of(b"b")
    assert place_of(second) == place
    assert bytes(second.map_private()) == b"b" * SIZE_BYTES


def test_a_smaller_value_may_lie_in_the_memory_of_a_larger_one() -> None:
    place = place_of(segment_of(b"a"))
    smaller = segment_of(b"b", SIZE_BYTES - 100)
    assert place_of(smaller) == place
    assert bytes(smaller.map_private()) == b"b" * (SIZE_BYTES - 100)


@pytest.mark.parametrize("size_bytes", [SIZE_BYTES // 2, SIZE_BYTES + 1], ids=["much smaller", "larger"])
def test_memory_of_another_size_is_not_used(size_bytes: int) -> None:
    place = place_of(segment_of(b"a"))
    assert place_of(segment_of(b"b", size_bytes)) != place


def test_what_somebody_reads_here_does_not_change() -> None:
    first = segment_of(b"a")
    place, view = place_of(first), first.map_private()[100:200]
    del first
    second = segment_of(b"b")
    assert place_of(second) != place
    assert bytes(view) == b"a" * 100
    del view
    gc.collect()
    assert place_of(segment_of(b"c")) == place


def test_what_is_on_its_way_to_another_process_does_not_change() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        first = segment_of(b"a")
        place = place_of(first)
        socket.send_fds(ours, [b"x"], [first.fileno()])
        del first
        others = [segment_of(b"b")]
        _, (fd,), _, _ = socket.recv_fds(theirs, 1, 1)
        others.append(segment_of(b"c"))
        with mmap.mmap(fd, 0, flags=mmap.MAP_PRIVATE) as received:
            os.close(fd)
            others.append(segment_of(b"d"))
            assert received[:SIZE_BYTES] == b"a" * SIZE_BYTES
        assert place not in map(place_of, others)
        assert place_of(segment_of(b"e")) == place


def test_a_forked_child_keeps_what_it_has() -> None:
    first = segment_of(b"a")
    place, view = place_of(first), first.map_private()
    may_look = os.pipe()
    child = os.fork()
    if child == 0:
        del first
        os.read(may_look[0], 1)
        os._exit(0 if bytes(view) == b"a" * SIZE_BYTES else 1)
    del first, view
    second = segment_of(b"b")
    assert place_of(second) != place
    os.write(may_look[1], b"x")
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert place_of(segment_of(b"c")) == place
    for fd in may_look:
        os.close(fd)


def test_memory_that_moved_to_disk_is_not_kept(tmp_path: os.PathLike[str]) -> None:
    first = segment_of(b"a")
    first.spill(os.fspath(tmp_path))
    del first
    assert not memfd_pool


def test_not_more_is_kept_than_was_agreed() -> None:
    sizes = [KEEP_AT_MOST_BYTES // 3 + 1] * 3
    segments = [Segment.of([], size_bytes) for size_bytes in sizes]
    places = {place_of(segment) for segment in segments}
    segments.clear()
    segments += [Segment.of([], size_bytes) for size_bytes in sizes]
    assert len(places & {place_of(segment) for segment in segments}) == 2


def test_nothing_is_kept_when_nobody_would_let_go_of_it() -> None:
    memfd_pool.remove_owner(owner)
    segment_of(b"a")
    assert not memfd_pool
    memfd_pool.add_owner(owner)


def test_an_idle_engine_lets_go_of_the_memory(embedded: EmbeddedEngine) -> None:
    with Runner("warm") as runner:
        array = np.zeros(SIZE_BYTES, np.uint8)
        ref = runner.put_object(array)
        assert runner.service(np.sum)(ref).get(BOUND_S) == 0
        flamepy.delete_objects(ref.key)
        assert reached(lambda: not memfd_pool)


OPENER = """
import os, sys
print(flush=True)
while os.getppid() == int(sys.argv[1]):
    for fd in range(3, 12):
        try:
            os.close(os.open(f"/proc/{sys.argv[1]}/fd/{fd}", os.O_RDWR))
        except OSError:
            pass
"""
OPENED_MEANWHILE = f"""
import os, subprocess, sys
from flamepy.cache.segment import Segment
from flamepy.cache.memfd_pool import memfd_pool

memfd_pool.add_owner(lambda: None)
size = 1 << 20
with subprocess.Popen([sys.executable, "-c", {OPENER!r}, str(os.getpid())], stdout=subprocess.PIPE) as other:
    other.stdout.readline()
    for _ in range(20_000):
        Segment.of([b"x"], size).close()
    other.kill()
"""


def test_somebody_who_opens_the_memory_while_the_kernel_is_asked_ends_nobody() -> None:
    """A debugger may. The kernel tells the asker with a signal."""
    done = subprocess.run([sys.executable, "-c", OPENED_MEANWHILE], capture_output=True, text=True, timeout=BOUND_S)
    assert (done.returncode, done.stderr) == (0, "")


class Shelf:
    """Holds on to what it is given, and gives what it makes."""

    def __init__(self) -> None:
        self.arrays: list[np.ndarray[tuple[int], np.dtype[np.float64]]] = []

    def hold(self, array: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        self.arrays = [*self.arrays[-2:], array]

    def held(self) -> list[tuple[float, float]]:
        return [(float(array.min()), float(array.max())) for array in self.arrays]


def filled(number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.full(SIZE_BYTES // 8, float(number))


def test_values_that_are_held_anywhere_never_change_while_others_come_and_go(embedded: EmbeddedEngine) -> None:
    with Runner("warm") as runner:
        shelf, make = runner.service(Shelf), runner.service(filled)
        held = collections.deque[np.ndarray[tuple[int], np.dtype[np.float64]]](maxlen=3)
        for number in range(40):
            made = make(number).get(BOUND_S)
            held.append(made)
            shelf.hold(made + 0.5)
            assert [(array.min(), array.max()) for array in held] == [
                (each, each) for each in range(max(0, number - 2), number + 1)
            ]
            assert shelf.held().get(BOUND_S) == [
                (each + 0.5, each + 0.5) for each in range(max(0, number - 2), number + 1)
            ]
