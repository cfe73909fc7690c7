# SPDX-License-Identifier: Apache-2.0
"""However a stream breaks: its consumer gets one clear error, nothing waits for ever, the next call works."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.runner.service.object_stream import PREFETCHED_PARTS
from tests.faults import bad_objects as bad
from tests.signs import BOUND_S, reached, until_exists, worker_pids


def count_up() -> Iterator[int]:
    number = 0
    while True:
        yield number
        number += 1


def fail_at_third(function: Any) -> Iterator[int]:
    yield 0
    yield 1
    function(2)


def resist(begun: str) -> Iterator[int]:
    """Swallows every interrupt."""
    yield 0
    Path(begun).touch()
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            continue


def ignore_the_end() -> Iterator[int]:
    while True:
        try:
            yield 0
        except GeneratorExit:
            continue


def fail_in_finally(ended: str) -> Iterator[int]:
    try:
        yield from count_up()
    finally:
        Path(ended).touch()
        raise ValueError("while cleaning up")


class Log:
    def __init__(self) -> None:
        self.lines: list[int] = []

    def write(self) -> Iterator[int]:
        while True:
            self.lines.append(len(self.lines))
            yield len(self.lines)

    def all(self) -> list[int]:
        return self.lines


class HoldsLock:
    """Its state cannot be saved."""

    def __init__(self) -> None:
        import threading

        self.lock = threading.Lock()

    def count(self) -> Iterator[int]:
        yield from count_up()


def kill_pinned_workers(engine: Engine) -> None:
    for pid in worker_pids(engine, lambda worker: worker.session_id is not None):
        os.kill(pid, signal.SIGKILL)


def values(stream: Any) -> list[Any]:
    return [part.get(BOUND_S) for part in stream]


# what the generator does in its third step, what its consumer gets there, words of the message
FAULTS = [
    pytest.param(bad.raise_value_error, ValueError, "no 2", id="raises"),
    pytest.param(bad.raise_unpicklable, flamepy.TaskFailed, "holds a lock", id="raises what does not pickle"),
    pytest.param(bad.leave, flamepy.TaskFailed, "SystemExit", id="sys.exit"),
    pytest.param(bad.interrupt_itself, flamepy.TaskFailed, "KeyboardInterrupt", id="KeyboardInterrupt"),
    pytest.param(bad.recurse, RecursionError, "recursion", id="endless recursion"),
    pytest.param(bad.leave_at_once, flamepy.StreamLost, "exit code 7", id="os._exit"),
    pytest.param(bad.crash, flamepy.StreamLost, "SIGSEGV", id="segmentation fault"),
    pytest.param(bad.kill_itself, flamepy.StreamLost, "SIGKILL", id="SIGKILL"),
]


@pytest.mark.parametrize(("fault", "expected", "words"), FAULTS)
def test_every_fault_reaches_the_consumer_and_the_next_stream_works(
    embedded: EmbeddedEngine, fault: Any, expected: type[BaseException], words: str
) -> None:
    with Runner("stream-faults") as runner:
        stream = runner.service(fail_at_third)(fault)
        assert [next(stream).get(BOUND_S) for _ in range(2)] == [0, 1]
        with pytest.raises(expected, match=words) as caught:
            next(stream).get(BOUND_S)
        assert isinstance(caught.value, flamepy.FlameError)
        assert list(stream) == []
        assert next(runner.service(count_up)()).get(BOUND_S) == 0


def test_a_stream_that_loses_its_worker_while_idle_says_that_it_cannot_resume(engine: Engine) -> None:
    with Runner("stream-faults") as runner:
        stream = runner.service(count_up)()
        taken = [next(stream).get(BOUND_S) for _ in range(3)]
        kill_pinned_workers(engine)
        with pytest.raises(flamepy.StreamLost, match=r"the stream of count_up cannot go on: .*call it again") as caught:
            taken += values(stream)
        assert taken == list(range(len(taken)))
        assert isinstance(caught.value, flamepy.TaskFailed)
        assert stream.state == "lost"


@pytest.mark.uplink
def test_an_object_that_loses_its_worker_has_the_state_of_the_parts_that_arrived(engine: Engine) -> None:
    with Runner("stream-faults") as runner:
        log = runner.service(Log)
        stream = log.write()
        assert [next(stream).get(BOUND_S) for _ in range(2)] == [1, 2]
        written = len(log.all().get(BOUND_S))
        kill_pinned_workers(engine)
        with pytest.raises(flamepy.StreamLost):
            values(stream)
        assert log.all().get(BOUND_S) == list(range(written))
        with log.write() as again:
            assert next(again).get(BOUND_S) == written + 1


def test_an_object_whose_state_cannot_be_saved_streams_and_is_lost_with_its_worker(engine: Engine) -> None:
    with Runner("stream-faults") as runner:
        stream = runner.service(HoldsLock).count()
        with pytest.warns(UserWarning, match="lock"):
            assert next(stream).get(BOUND_S) == 0
        assert [next(stream).get(BOUND_S) for _ in range(PREFETCHED_PARTS)] == [1, 2, 3, 4]
        kill_pinned_workers(engine)
        with pytest.raises(flamepy.FlameError, match="HoldsLock"):
            values(stream)


def test_a_generator_that_swallows_interrupts_is_ended_with_its_worker(
    embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    with Runner("stream-faults") as runner:
        stream = runner.service(resist)(str(tmp_path / "begun"))
        next(stream)
        until_exists(tmp_path / "begun")
        stream.close()  # does not wait; leaving the Runner does
        assert stream.done()
    assert not [worker for worker in embedded.workers() if worker.running]


@pytest.mark.parametrize("generator", [ignore_the_end, fail_in_finally])
def test_a_generator_that_cannot_be_closed_hurts_nobody(engine: Engine, tmp_path: Path, generator: Any) -> None:
    arguments = [str(tmp_path / "ended")] if generator is fail_in_finally else []
    with Runner("stream-faults") as runner:
        with runner.service(generator)(*arguments) as stream:
            assert next(stream).get(BOUND_S) == 0
        if arguments:
            until_exists(tmp_path / "ended")
        assert next(runner.service(count_up)()).get(BOUND_S) == 0


def test_a_part_that_is_cancelled_from_outside_ends_the_stream_as_cancelled(
    embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    with Runner("stream-faults") as runner:
        stream = runner.service(resist)(str(tmp_path / "begun"))
        next(stream)
        until_exists(tmp_path / "begun")
        for session in embedded.sessions.list():
            for task in embedded.sessions.tasks(session.id):
                if not task.state.is_terminal():
                    embedded.cancel(embedded.task(session.id, task.id))
        assert reached(lambda: stream.state == "closed")
        with pytest.raises(flamepy.CallCancelled):
            next(stream)
        assert list(stream) == []


def test_shutting_down_ends_a_stream_that_somebody_waits_for(embedded: EmbeddedEngine, tmp_path: Path) -> None:
    stream = Runner("stream-faults").service(resist)(str(tmp_path / "begun"))
    next(stream)
    until_exists(tmp_path / "begun")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, stream)
        embedded.close()
        with pytest.raises(flamepy.CallCancelled, match="flamepy was shut down"):
            waiting.result(BOUND_S)
