# SPDX-License-Identifier: Apache-2.0
"""Waiting for many calls: in any loop, with a bar, told to whoever watches; and what is said when some of them fail."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import ObjectFuture, Runner
from flamepy.engine.api import Engine
from flamepy.front_ends import show_progress_with, watch_waits
from flamepy.runner import UnsavedStateWarning
from tests.signs import BOUND_S


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    runner = Runner("waiting")
    yield runner
    runner.close(cancel=True)  # a failed test must not wait for its calls


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def held(gate: str, value: Any = None) -> Any:
    import os

    while not os.path.exists(gate):
        time.sleep(0.005)
    return value


def echo(value: Any) -> Any:
    return value


def fail(kind: type[Exception]) -> None:
    raise kind("no luck")


def held_parts(gate: str) -> Iterator[Any]:
    yield held(gate)


class HoldsLock:
    """Its state cannot be saved."""

    def __init__(self) -> None:
        self.lock = threading.Lock()

    def step(self) -> int:
        return 1


class Screen(io.StringIO):
    """A terminal that acts once, when it first shows a certain text."""

    def __init__(self, text: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._text = text
        self._act = act
        self._has_acted = False

    def write(self, text: str) -> int:
        if self._text in text and not self._has_acted:
            self._has_acted = True
            self._act()
        return super().write(text)


def shown_while(screen: io.StringIO, act: Callable[[], object]) -> str:
    with contextlib.redirect_stderr(screen):
        act()
    return screen.getvalue()


# -- progress in a terminal


def test_a_long_wait_draws_how_many_calls_have_ended(runner: Runner, gate: Path) -> None:
    futures = [runner.service(echo, name="held")(1), runner.service(held)(str(gate))]
    text = shown_while(Screen("1/2", gate.touch), lambda: runner.wait(futures, BOUND_S, progress=True))
    assert "held:  50%" in text
    assert "2/2" in text.rpartition("\r")[2]
    assert text.endswith("\n")


@pytest.mark.inline
def test_a_short_wait_draws_nothing(runner: Runner) -> None:
    futures = [runner.service(echo)(1)]
    runner.wait(futures)
    assert shown_while(io.StringIO(), lambda: runner.wait(futures, progress=True)) == ""


def test_the_first_failure_is_shown_at_once_and_the_others_are_counted(runner: Runner, gate: Path) -> None:
    service = runner.service(fail)
    futures = [service(KeyError), service(ValueError), runner.service(held)(str(gate))]
    text = shown_while(Screen(", 2 failed]", gate.touch), lambda: runner.wait(futures, BOUND_S, progress=True))
    assert text.count("no luck") == 1
    assert "calls: 100%" in text.rpartition("\r")[2]


def test_a_short_wait_with_a_failure_ends_with_the_whole_count(runner: Runner) -> None:
    futures = [runner.service(fail)(ValueError), runner.service(echo)(1)]
    runner.wait(futures)
    text = shown_while(io.StringIO(), lambda: runner.wait(futures, progress=True))
    assert "failed: fail raised ValueError: no luck\n" in text
    assert "2/2" in text.rpartition("\r")[2]
    assert text.endswith("1 failed]\n")


def test_a_bar_does_not_hold_a_timeout_back(runner: Runner, gate: Path) -> None:
    future = runner.service(held)(str(gate))

    def wait() -> None:
        with pytest.raises(flamepy.CallTimeout, match=r"1 of 1 calls have not ended after 0.6 s, the first is <Obj"):
            runner.wait([future], timeout=0.6, progress=True)

    assert "0/1" in shown_while(io.StringIO(), wait)
    gate.touch()


def test_a_registered_display_takes_the_place_of_the_bar(runner: Runner) -> None:
    futures = [runner.service(echo)(1)]
    shown: list[Sequence[ObjectFuture]] = []
    undo = show_progress_with(shown.append)
    runner.wait(futures)
    assert shown == []
    assert shown_while(io.StringIO(), lambda: runner.wait(futures, progress=True)) == ""
    undo()
    undo()
    runner.wait(futures, progress=True)
    assert shown == [futures]


def test_an_interrupt_ends_a_wait_with_a_bar_at_once(runner: Runner, gate: Path) -> None:
    future = runner.service(held)(str(gate), 1)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.05, signal.pthread_kill, (main, signal.SIGINT))
    began_s = time.monotonic()
    try:
        with contextlib.redirect_stderr(Screen("0/1", timer.start)), pytest.raises(KeyboardInterrupt):
            runner.wait([future], BOUND_S, progress=True)
    finally:
        timer.cancel()  # nobody else may be interrupted
    assert time.monotonic() - began_s < BOUND_S / 2
    gate.touch()
    assert future.get(BOUND_S) == 1


# -- select in an event loop


@pytest.mark.uplink
def test_async_for_gives_futures_in_the_order_in_which_they_end(runner: Runner, gate: Path) -> None:
    last, first = runner.service(held)(str(gate), "last"), runner.service(echo)("first")

    async def collect() -> list[Any]:
        ended = []
        async for future in runner.select([last, first]):
            ended.append(await future)
            asyncio.get_running_loop().call_later(0.01, gate.touch)  # it runs: the loop is not blocked
        return ended

    assert asyncio.run(collect()) == ["first", "last"]


def test_an_async_for_can_be_given_up_and_taken_up_again(runner: Runner, gate: Path) -> None:
    selected = runner.select([runner.service(held)(str(gate), 1)])

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(selected), 0.05)

    asyncio.run(give_up())
    gate.touch()
    assert [future.get(BOUND_S) for future in selected] == [1]


# -- who watches waits


def test_whoever_watches_is_told_what_each_wait_is_for(runner: Runner, gate: Path) -> None:
    told: list[tuple[list[str], bool]] = []

    @contextlib.contextmanager
    def watch(futures: Collection[ObjectFuture], *, is_blocking: bool) -> Iterator[None]:
        told.append((sorted(each.name for each in futures), is_blocking))
        gate.touch()
        yield

    def forget() -> list[tuple[list[str], bool]]:
        before = told.copy()
        told.clear()
        gate.unlink()
        return before

    first, second = runner.service(held, name="first"), runner.service(held, name="second")

    async def collect() -> None:
        async for _ in runner.select([first(str(gate))]):
            pass

    watch_waits(watch)
    try:
        runner.get([first(str(gate)), second(str(gate))])
        assert forget() == [(["first", "second"], True)]
        runner.wait([first(str(gate)), second(str(gate))], progress=True)
        assert forget() == [(["first", "second"], True)]
        asyncio.run(collect())
        assert forget() == [(["first"], False)]
        next(runner.service(held_parts)(str(gate)))
        assert forget() == [(["held_parts"], True)]
    finally:
        watch_waits(None)


# -- when several fail


def test_the_error_of_a_list_tells_how_many_others_failed_and_with_what(runner: Runner, gate: Path) -> None:
    service = runner.service(fail)
    futures = [service(KeyError), service(ValueError), service(KeyError), service(ValueError), service(ValueError)]
    runner.wait(futures)
    late = runner.service(held)(str(gate))
    with pytest.raises(KeyError) as caught:
        runner.get([*futures, late])
    gate.touch()
    text = "".join(traceback.format_exception_only(caught.value))
    assert text.endswith(
        "4 more of these 6 calls failed: ValueError (3), KeyError (1); 1 have not ended. "
        "Each future gives its own error: future.exception().\n"
    )


def test_the_error_of_a_list_in_which_one_failed_has_nothing_to_add(runner: Runner) -> None:
    futures = [runner.service(echo)(1), runner.service(fail)(ValueError)]
    runner.wait(futures)
    with pytest.raises(ValueError, match="no luck") as caught:
        runner.get(futures)
    assert "more of these" not in "".join(traceback.format_exception_only(caught.value))


# -- a state that cannot be saved


@pytest.mark.uplink
def test_the_warning_comes_with_the_result_that_is_read_first_and_once_per_service(runner: Runner) -> None:
    service = runner.service(HoldsLock)
    unread, first, second = service.step(), service.step(), service.step()
    runner.wait([unread, first, second])
    with pytest.warns(UnsavedStateWarning, match=r"HoldsLock\.step: .*lock"):
        first.get(BOUND_S)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [each.get(BOUND_S) for each in (first, second, unread, service.step())] == [1, 1, 1, 1]
    with pytest.warns(UnsavedStateWarning):
        runner.service(HoldsLock).step().get(BOUND_S)


@pytest.mark.uplink
def test_a_runner_knows_its_unfinished_calls_also_those_that_nobody_holds(runner: Runner, gate: Path) -> None:
    runner.service(echo)(1).wait()
    service = runner.service(held)
    for value in range(3):
        service(str(gate), value)
    assert runner.count_unfinished() == 3
    calls = runner.unfinished()
    gate.touch()
    assert sorted(runner.get(calls)) == [0, 1, 2]
    assert (runner.count_unfinished(), runner.unfinished()) == (0, [])
    runner.close()
    assert (runner.count_unfinished(), runner.unfinished()) == (0, [])


@pytest.mark.uplink
def test_calls_and_runners_go_on_while_a_callback_waits_for_something_else(
    engine: Engine, runner: Runner, gate: Path
) -> None:
    service, begun, goes_on = runner.service(echo), threading.Event(), threading.Event()
    has_gone_on: list[bool] = []

    def wait(_: ObjectFuture) -> None:
        begun.set()
        has_gone_on.append(goes_on.wait(BOUND_S))

    first, last = runner.service(held)(str(gate)), service(0)
    first.add_done_callback(wait)  # while it runs: one that has ended calls back here and now
    gate.touch()
    assert begun.wait(BOUND_S)
    last.add_done_callback(lambda _: None)  # its turn comes when the first lets go

    def use(value: int) -> Any:
        if value % 10 == 0:
            with Runner("beside", engine=engine) as beside:
                return beside.service(echo)(value).get(BOUND_S)
        return service(value).get(BOUND_S)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(use, range(40))) == list(range(40))
    assert service(1).get(BOUND_S) == 1
    assert has_gone_on == [], "it went on when the callback gave up"
    goes_on.set()
