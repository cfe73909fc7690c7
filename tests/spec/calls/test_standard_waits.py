# SPDX-License-Identifier: Apache-2.0
"""Whatever in the standard library takes futures takes ours, and gives them back."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flamepy import ObjectFuture, Runner
from flamepy.errors import CallCancelled, InvalidArgument, InvalidState, NotPicklable
from flamepy.runner import RunnerService

BOUND_S = 60.0


def echo(value: Any) -> Any:
    return value


def fail(text: str) -> None:
    raise ValueError(text)


def raise_number() -> None:
    raise KeyError(10**5000)


def held(path: str) -> str:
    """Ends when the test opens the gate."""
    with open(path) as gate:
        return gate.read()


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    from flamepy.engine.current import shutdown

    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("project"))
    try:
        with Runner("waits") as opened:
            yield opened
    finally:
        shutdown()
        os.chdir(here)


@pytest.fixture(scope="module")
def service(runner: Runner) -> RunnerService:
    return runner.service(echo)


@pytest.fixture
def running(runner: Runner, tmp_path: Path) -> Iterator[ObjectFuture]:
    """A call that does not end before the test does."""
    os.mkfifo(tmp_path / "gate")
    future = runner.service(held)(str(tmp_path / "gate"))
    yield future
    future.cancel()
    assert future.wait(BOUND_S)


def test_wait_gives_our_futures_back(runner: Runner, service: RunnerService, running: ObjectFuture) -> None:
    ended = [service(1), runner.service(fail)("no"), service(1)]
    everything = concurrent.futures.wait(ended, timeout=BOUND_S)
    assert (everything.done, everything.not_done) == (set(ended), set())
    first = concurrent.futures.wait([running, *ended], timeout=BOUND_S, return_when="FIRST_COMPLETED")
    assert running in first.not_done
    failed = concurrent.futures.wait([running, ended[1]], timeout=BOUND_S, return_when="FIRST_EXCEPTION")
    assert ended[1] in failed.done
    late = concurrent.futures.wait([running], timeout=0.01)
    assert late.not_done == {running}
    assert running.cancel()
    assert concurrent.futures.wait([running], timeout=BOUND_S).done == {running}
    assert running.cancelled()


def test_as_completed_gives_each_once_and_gives_up_in_time(service: RunnerService, running: ObjectFuture) -> None:
    futures: Any = [service(number) for number in range(20)]
    found: list[Any] = list(concurrent.futures.as_completed(futures, timeout=BOUND_S))
    assert sorted(each.result() for each in found) == list(range(20))
    assert set(found) == set(futures)
    with pytest.raises(concurrent.futures.TimeoutError):
        list(concurrent.futures.as_completed({running, *futures}, timeout=0.01))


def test_others_cannot_end_a_future_of_ours(service: RunnerService) -> None:
    future = service(1)
    for attempt in (lambda: future.set_result(2), lambda: future.set_exception(None)):
        with pytest.raises(InvalidState, match="the engine ends"):
            attempt()
    assert isinstance(future, concurrent.futures.Future)
    assert future.result(BOUND_S) == 1


WAYS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "await": lambda future: future,
    "wrap_future": asyncio.wrap_future,
    "ensure_future": asyncio.ensure_future,
    "gather": lambda future: _first(asyncio.gather(future)),
    "wait_for": lambda future: asyncio.wait_for(future, BOUND_S),
    "shield": asyncio.shield,
    "wait": lambda future: _waited(future),
    "as_completed": lambda future: _completed([future]),
}


async def _first(values: Awaitable[Any]) -> Any:
    return (await values)[0]


async def _completed(futures: Any) -> Any:
    return await next(iter(asyncio.as_completed(futures)))


async def _waited(future: Any) -> Any:
    done, pending = await asyncio.wait([future], timeout=BOUND_S)
    assert (len(done), len(pending)) == (1, 0)
    return done.pop().result()


async def _awaited(way: str, future: ObjectFuture) -> Any:
    return await WAYS[way](future)


@pytest.mark.parametrize("way", WAYS)
def test_asyncio_takes_it(runner: Runner, service: RunnerService, way: str) -> None:
    assert asyncio.run(_awaited(way, service(3))) == 3
    ended = service(4)
    assert ended.wait(BOUND_S)
    assert asyncio.run(_awaited(way, ended)) == 4
    with pytest.raises(ValueError, match=r"^no$"):
        asyncio.run(_awaited(way, runner.service(fail)("no")))


def test_a_wait_of_asyncio_that_gives_up_leaves_the_call_alone(running: ObjectFuture) -> None:
    async def give_up() -> int:
        waited: Any = [running]
        done, pending = await asyncio.wait(waited, timeout=0.01)
        assert not done
        return len(pending)

    assert asyncio.run(give_up()) == 1
    assert not running.done()


def test_cancelling_a_wrapped_future_cancels_the_call(running: ObjectFuture) -> None:
    async def cancel() -> None:
        wrapped = asyncio.wrap_future(running)
        wrapped.cancel()
        await asyncio.sleep(0)

    asyncio.run(cancel())
    with pytest.raises(CallCancelled):
        running.get(BOUND_S)


def test_the_text_of_a_call_is_short_whatever_the_number(runner: Runner, service: RunnerService) -> None:
    assert service(5).call_text == "echo(5)"
    assert service(-(10**60)).call_text == "echo(-10000000000000000...0000000000000000000)"
    assert service(10**5000).call_text == "echo(<an integer of about 5,001 digits>)"
    assert service(value=-(10**1_000_000)).call_text == "echo(value=<an integer of about 1,000,001 digits>)"
    with pytest.raises(InvalidArgument, match="about 5,001 digits"):
        runner.service(10**5000)
    with pytest.raises(NotPicklable, match="about 5,001 digits"):
        service({10**5000: threading.Lock()})
    error = runner.service(raise_number)().exception(BOUND_S)
    assert isinstance(error, KeyError)
    assert error.args == (10**5000,)
