# SPDX-License-Identifier: Apache-2.0
"""Streams: a generator on a worker gives its parts as they are made, and stops when nobody wants more."""

from __future__ import annotations

import asyncio
import functools
import gc
import os
import pickle
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flamepy
from flamepy import ObjectFuture, ObjectStream, Runner
from flamepy.engine.api import Engine
from flamepy.runner.service.object_stream import PREFETCHED_PARTS
from tests.signs import BOUND_S, reached, until_exists

FOREVER = 10**9


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    runner = Runner("streams")
    yield runner
    runner.close(cancel=True)  # a failed test must not wait for its calls


def squares(count: int) -> Iterator[int]:
    for number in range(count):
        yield number * number


def held_after_first(gate: str) -> Iterator[str]:
    yield "first"
    while not os.path.exists(gate):
        time.sleep(0.005)
    yield "second"


def returns_sum(values: list[int]) -> Any:
    total = 0
    for value in values:
        total += value
        yield value
    return total


def fails_at(bad: int) -> Iterator[int]:
    for number in range(FOREVER):
        if number == bad:
            raise ValueError(f"no {number}")
        yield number


def tells_its_end(path: str) -> Iterator[int]:
    try:
        yield from range(FOREVER)
    finally:
        Path(path).touch()


def sleeps_in_second(begun: str, ended: str) -> Iterator[int]:
    yield 1
    try:
        Path(begun).touch()
        time.sleep(60)
    finally:
        Path(ended).touch()


def matrices(count: int) -> Iterator[Any]:
    for number in range(count):
        yield np.full((300, 300), number)


def third_is_a_lock() -> Iterator[Any]:
    yield 1
    yield 2
    yield threading.Lock()
    yield 4


async def asynchronous() -> AsyncIterator[int]:
    yield 1


def undecorated(count: int) -> Any:
    return squares(count)


def echo(value: Any) -> Any:
    return value


def consume(stream_of: Callable[..., Any], argument: int) -> list[int]:
    return [part.get(BOUND_S) for part in stream_of(argument)]


class Tape:
    """Every kind of generator that an object may have, and a memory of how far it got."""

    def __init__(self) -> None:
        self.made: list[int] = []

    def play(self, count: int) -> Iterator[int]:
        for number in range(count):
            self.made.append(number)
            yield number
        self.made.append(-1)

    def play_and_fail(self) -> Iterator[int]:
        self.made.append(1)
        yield 1
        self.made.append(2)
        raise ValueError("torn")

    def made_so_far(self) -> list[int]:
        return self.made

    def spoil_and_fail(self) -> None:
        self.made.append(99)
        raise ValueError("spoiled")

    def __call__(self, count: int) -> Iterator[int]:
        yield from range(count)

    @staticmethod
    def static(count: int) -> Iterator[int]:
        yield from range(count)

    @classmethod
    def of_class(cls, count: int) -> Iterator[int]:
        yield from range(count)

    three = functools.partialmethod(play, 3)


def values(stream: ObjectStream) -> list[Any]:
    return [part.get(BOUND_S) for part in stream]


@pytest.mark.inline
@pytest.mark.uplink
def test_each_part_is_a_future_and_comes_in_order(runner: Runner) -> None:
    stream = runner.service(squares)(20)
    assert isinstance(stream, ObjectStream)
    parts = list(stream)
    assert all(isinstance(part, ObjectFuture) and part.done() for part in parts)
    assert runner.get(parts) == [number * number for number in range(20)]
    assert parts[0].call_text == "squares(20)"


def test_a_part_is_given_as_soon_as_it_is_there(runner: Runner, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stream = runner.service(held_after_first)(str(gate))
    assert next(stream).get(BOUND_S) == "first"
    gate.touch()
    assert values(stream) == ["second"]


@pytest.mark.inline
def test_a_stream_tells_how_far_it_is(runner: Runner) -> None:
    stream = runner.service(returns_sum)([1, 2])
    changes: list[str] = []
    stream.on_change(lambda: changes.append(repr(stream)))
    assert (stream.name, stream.state, stream.count, stream.done(), stream.value) == (
        "returns_sum", "running", 0, False, None,
    )  # fmt: skip
    next(stream)
    assert repr(stream) == f"<ObjectStream returns_sum #{stream.id} running, 1 part>"
    assert values(stream) == [2]
    assert (stream.state, stream.count, stream.done(), stream.value) == ("ended", 2, True, 3)
    assert next(stream, None) is None
    assert [each.split(maxsplit=3)[-1] for each in changes] == [
        "running, 1 part>",
        "running, 2 parts>",
        "ended, 2 parts>",
    ]


@pytest.mark.inline
def test_a_generator_without_parts_ends_at_once(runner: Runner) -> None:
    assert values(runner.service(squares)(0)) == []


@pytest.mark.inline
def test_a_consumer_that_waits_holds_the_generator_back(runner: Runner) -> None:
    tape = runner.service(Tape)
    stream = tape.play(100)
    assert len(tape.made_so_far().get(BOUND_S)) == PREFETCHED_PARTS
    next(stream), next(stream)
    assert len(tape.made_so_far().get(BOUND_S)) == PREFETCHED_PARTS + 1  # the next is asked for when one is wanted
    assert len(values(stream)) == 98


@pytest.mark.inline
@pytest.mark.parametrize(
    "generator",
    [
        pytest.param(squares, id="function"),
        pytest.param(functools.partial(squares), id="partial"),
        pytest.param(Tape().play, id="bound method"),
        pytest.param(lambda count: (yield from range(count)), id="lambda"),
    ],
)
def test_whatever_is_a_generator_function_is_a_stream(runner: Runner, generator: Callable[..., Any]) -> None:
    assert len(values(runner.service(generator)(3))) == 3


@pytest.mark.inline
def test_every_kind_of_method_may_be_a_generator(runner: Runner) -> None:
    tape = runner.service(Tape())
    assert [values(each(3)) for each in (tape.play, tape.static, tape.of_class, tape)] == [[0, 1, 2]] * 4
    assert values(tape.three()) == [0, 1, 2]


@pytest.mark.inline
def test_a_class_without_shared_state_gives_each_stream_an_object_of_its_own(runner: Runner) -> None:
    tape = runner.service(Tape, autoscale=True)
    first, second = tape.play(3), tape.play(3)
    assert [values(first), values(second)] == [[0, 1, 2]] * 2
    assert tape.made_so_far().get(BOUND_S) == []


@pytest.mark.inline
def test_an_async_generator_is_refused_with_the_cure(runner: Runner) -> None:
    class Listens:
        async def events(self) -> AsyncIterator[int]:
            yield 1

    with pytest.raises(flamepy.InvalidArgument, match=r"asynchronous\(\) is an async generator.*'def' instead"):
        runner.service(asynchronous)
    with pytest.raises(flamepy.InvalidArgument, match=r"Listens\.events\(\) is an async generator"):
        runner.service(Listens)


@pytest.mark.inline
def test_a_generator_that_a_plain_function_returns_is_an_error_with_the_cure(runner: Runner) -> None:
    with pytest.raises(flamepy.NotPicklable, match=r"the result is a generator, squares\(\).*'yield from'"):
        runner.service(undecorated)(3).get(BOUND_S)


@pytest.mark.inline
def test_an_error_of_the_generator_arrives_with_its_part_which_is_the_last(runner: Runner) -> None:
    stream = runner.service(fails_at)(2)
    parts = list(stream)
    assert runner.get(parts[:2]) == [0, 1]
    with pytest.raises(ValueError, match="no 2"):
        parts[2].get(BOUND_S)
    assert (len(parts), stream.state, stream.count, str(stream.error)) == (3, "failed", 2, str(parts[2].exception()))


@pytest.mark.inline
def test_wrong_arguments_are_found_at_the_call_or_arrive_with_the_first_part(runner: Runner) -> None:
    service = runner.service(squares)
    with pytest.raises(TypeError, match=r"squares\(\) takes 1 positional argument but 3 were given"):
        service(1, 2, 3)
    travelled = pickle.loads(pickle.dumps(service))  # by name: here nobody knows its signature
    (part,) = travelled(1, 2, 3)
    with pytest.raises(TypeError, match="positional"):
        part.get(BOUND_S)


@pytest.mark.inline
def test_a_part_that_cannot_travel_ends_the_stream_with_its_error(runner: Runner) -> None:
    parts = list(runner.service(third_is_a_lock)())
    assert runner.get(parts[:2]) == [1, 2]
    with pytest.raises(flamepy.NotPicklable, match="lock"):
        parts[2].get(BOUND_S)
    assert len(parts) == 3


@pytest.mark.inline
@pytest.mark.uplink
def test_big_parts_travel_like_any_result(runner: Runner) -> None:
    sums = [int(part.get(BOUND_S).sum()) for part in runner.service(matrices)(3)]
    assert sums == [0, 90_000, 180_000]


@pytest.mark.inline
def test_arguments_may_be_futures_and_parts_may_be_arguments(runner: Runner) -> None:
    echoes = runner.service(echo)
    stream = runner.service(returns_sum)([echoes(3), echoes(4)])
    assert runner.get([echoes(part) for part in stream]) == [3, 4]
    assert stream.value == 7


@pytest.mark.inline
def test_an_argument_that_failed_fails_the_first_part(runner: Runner) -> None:
    failing = next(runner.service(fails_at)(0))
    (part,) = runner.service(squares)(failing)
    with pytest.raises(flamepy.DependencyFailed, match="no 0"):
        part.get(BOUND_S)


def test_async_for_gives_the_parts_and_the_loop_goes_on_meanwhile(runner: Runner, tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    async def both() -> list[Any]:
        parts = []
        async for part in runner.service(held_after_first)(str(gate)):
            parts.append(await part)
            asyncio.get_running_loop().call_later(0.01, gate.touch)
        return parts

    assert asyncio.run(both()) == ["first", "second"]


@pytest.mark.cluster
@pytest.mark.inline
def test_the_state_is_saved_after_each_part_and_a_failed_part_leaves_it_as_it_was(runner: Runner) -> None:
    tape = runner.service(Tape)
    parts = list(tape.play_and_fail())
    assert isinstance(parts[1].exception(), ValueError)
    assert tape.made_so_far().get(BOUND_S) == [1]


@pytest.mark.inline
def test_what_a_generator_does_after_its_last_part_counts(runner: Runner) -> None:
    tape = runner.service(Tape)
    assert values(tape.play(2)) == [0, 1]
    assert tape.made_so_far().get(BOUND_S) == [0, 1, -1]


@pytest.mark.inline
def test_streams_and_calls_of_one_object_take_turns(runner: Runner) -> None:
    tape = runner.service(Tape)
    first, second = tape.play(6), tape.play(6)
    taken = []
    for one, two in zip(first, second, strict=True):
        taken += [one.get(BOUND_S), two.get(BOUND_S)]
        tape.made_so_far().get(BOUND_S)
    assert taken == [each for number in range(6) for each in (number, number)]
    assert sorted(tape.made_so_far().get(BOUND_S)) == sorted([*range(6), -1] * 2)


@pytest.mark.inline
@pytest.mark.uplink
def test_a_failed_call_that_takes_the_object_back_ends_its_streams_with_the_reason(runner: Runner) -> None:
    tape = runner.service(Tape)
    stream = tape.play(100)
    assert isinstance(tape.spoil_and_fail().exception(BOUND_S), ValueError)
    with pytest.raises(
        flamepy.StreamLost, match=r"the stream of Tape\.play cannot go on: a failed call.*call it again"
    ):
        values(stream)
    assert (stream.state, stream.count) == ("lost", PREFETCHED_PARTS)
    assert tape.made_so_far().get(BOUND_S) == list(range(PREFETCHED_PARTS))


@pytest.mark.inline
@pytest.mark.uplink
@pytest.mark.parametrize("way", ["close", "with", "break", "drop"])
def test_leaving_a_stream_stops_the_generator_and_its_finally_runs(runner: Runner, tmp_path: Path, way: str) -> None:
    ended = tmp_path / "ended"
    service = runner.service(tells_its_end)
    if way == "close":
        stream = service(str(ended))
        next(stream)
        stream.close()
        stream.close()
        assert (stream.state, list(stream)) == ("closed", [])
    elif way == "with":
        with service(str(ended)) as stream:
            next(stream)
    elif way == "break":
        for part in service(str(ended)):
            assert part.get(BOUND_S) == 0
            break
    else:
        stream = service(str(ended))
        assert next(stream).get(BOUND_S) == 0
        del stream
    gc.collect()  # for interpreters that do not count references
    until_exists(ended)


def test_closing_interrupts_the_part_that_is_being_made(runner: Runner, tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    stream = runner.service(sleeps_in_second)(str(begun), str(ended))
    next(stream)
    until_exists(begun)
    stream.close()
    until_exists(ended)


@pytest.mark.inline
def test_a_closed_stream_of_an_object_leaves_the_object_usable(runner: Runner) -> None:
    tape = runner.service(Tape)
    with tape.play(FOREVER) as stream:
        assert [next(stream).get(BOUND_S) for _ in range(3)] == [0, 1, 2]
    before = tape.made_so_far().get(BOUND_S)
    assert tape.made_so_far().get(BOUND_S) == before
    assert values(tape.play(2)) == [0, 1]


def test_closing_in_another_thread_ends_the_loop(runner: Runner, tmp_path: Path) -> None:
    stream = runner.service(held_after_first)(str(tmp_path / "never"))
    assert next(stream).get(BOUND_S) == "first"
    threading.Timer(0.05, stream.close).start()
    assert list(stream) == []


@pytest.mark.uplink
def test_the_worker_of_a_stream_goes_with_it(runner: Runner, engine: Engine) -> None:
    service = runner.service(squares)
    ended, left, dropped = service(3), service(FOREVER), service(FOREVER)
    for stream in (ended, left, dropped):
        next(stream)
    del stream
    assert len([worker for worker in engine.workers() if worker.session_id is not None]) == 3
    values(ended)
    left.close()
    del dropped
    gc.collect()
    assert reached(lambda: not [worker for worker in engine.workers() if worker.session_id is not None])
    assert values(service(2)) == [0, 1]


@pytest.mark.inline
def test_closing_the_service_or_the_runner_ends_streams(engine: Engine) -> None:
    runner = Runner("streams")
    service, tape = runner.service(squares), runner.service(Tape)
    stream, of_object = service(FOREVER), tape.play(FOREVER)
    service.close()
    with pytest.raises(flamepy.RunnerClosed, match="the service 'squares' is closed"):
        values(stream)
    runner.close()
    with pytest.raises(flamepy.RunnerClosed, match="Runner 'streams' is closed"):
        values(of_object)
    assert (stream.state, stream.count, of_object.state) == ("lost", PREFETCHED_PARTS, "lost")
    with pytest.raises(flamepy.RunnerClosed):
        service(1)


@pytest.mark.inline
def test_a_handle_of_a_service_that_was_closed_elsewhere_says_so(runner: Runner) -> None:
    service, tape = runner.service(squares), runner.service(Tape)
    copies = pickle.loads(pickle.dumps((service, tape)))
    service.close()
    tape.close()
    with pytest.raises(flamepy.RunnerClosed, match="Create the service again"):
        copies[0](1)
    with pytest.raises(flamepy.RunnerClosed, match="Create the service again"):
        copies[1].play(1)


@pytest.mark.inline
def test_parts_outlive_their_runner(engine: Engine) -> None:
    with Runner("streams") as runner:
        parts = list(runner.service(squares)(3))
    assert [part.get() for part in parts] == [0, 1, 4]


@pytest.mark.inline
def test_a_handle_that_travelled_streams_too(runner: Runner) -> None:
    consumer = runner.service(consume)
    tape = runner.service(Tape)
    assert consumer(runner.service(squares), 4).get(BOUND_S) == [0, 1, 4, 9]
    assert consumer(tape.play, 3).get(BOUND_S) == [0, 1, 2]
    assert tape.made_so_far().get(BOUND_S) == [0, 1, 2, -1]


@pytest.mark.inline
def test_a_stream_itself_does_not_travel(runner: Runner) -> None:
    with (
        runner.service(squares)(3) as stream,
        pytest.raises(flamepy.NotPicklable, match="pass the futures of its parts"),
    ):
        runner.service(echo)(stream)


def test_an_interrupt_ends_the_wait_for_a_part_and_the_stream_goes_on(runner: Runner, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    stream = runner.service(held_after_first)(str(gate))
    next(stream)
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        next(stream)
    gate.touch()
    assert values(stream) == ["second"]
