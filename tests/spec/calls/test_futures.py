# SPDX-License-Identifier: Apache-2.0
"""A future: what the caller has of a call, from the moment it is made."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flamepy import FlameError, ObjectFuture, Runner
from flamepy.engine.api import Engine
from flamepy.errors import CallCancelled, CallTimeout, DependencyFailed, NotPicklable, RunnerClosed, TaskFailed
from tests.signs import BOUND_S, reached


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    runner = Runner("futures")
    yield runner
    runner.close(cancel=True)  # a failed test must not wait for its calls


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path / "gate")


class Gate:
    """A file that a call waits for, so that a test decides when it ends; and one that tells that it has begun."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def open(self) -> None:
        Path(self.path).touch()

    def is_reached(self) -> bool:
        begun = Path(f"{self.path}.begun")
        return reached(begun.exists)


def held(path: str, value: Any = None) -> Any:
    import os
    import time

    with open(f"{path}.begun", "w"):
        pass
    while not os.path.exists(path):
        time.sleep(0.005)
    return value


def echo(value: Any = None) -> Any:
    return value


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.cluster
@pytest.mark.uplink
def test_a_future_tells_what_becomes_of_its_call(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path, 3)
    assert reached(future.running)
    assert (future.state, future.done(), future.finished_s, future.nbytes) == ("running", False, 0.0, None)
    gate.open()
    assert future.get(BOUND_S) == 3
    assert (future.state, future.done(), future.running(), future.cancelled()) == ("succeeded", True, False, False)
    assert future.created_s <= future.started_s <= future.finished_s
    assert future.nbytes
    assert future.exception() is None


def test_the_repr_tells_name_number_state_and_time(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path)
    assert reached(future.running)
    assert repr(future).startswith(f"<ObjectFuture held #{future.id} running ")
    gate.open()
    future.wait(BOUND_S)
    assert repr(future) == f"<ObjectFuture held #{future.id} succeeded {future.elapsed_s:.1f}s>"


def test_numbers_of_futures_grow(runner: Runner) -> None:
    service = runner.service(echo)
    first, second = service(), service()
    assert second.id == first.id + 1
    runner.wait([first, second])


@pytest.mark.inline
def test_the_call_is_shown_as_it_was_written_when_its_arguments_are_small(runner: Runner) -> None:
    service = runner.service(echo)
    futures = [service(3), service(value="x"), service([1, 2]), service("y" * 150)]
    assert [each.call_text for each in futures[:3]] == ["echo(3)", "echo(value='x')", "echo(…)"]
    assert len(futures[3].call_text) <= 60
    runner.wait(futures)


@pytest.mark.inline
def test_a_future_does_not_keep_its_arguments_alive(runner: Runner) -> None:
    import weakref

    array = memoryview(bytearray(100_000))
    alive = weakref.ref(array)
    future = runner.service(len)(bytes(array))
    assert future.get(BOUND_S) == 100_000
    del array
    gc.collect()
    assert alive() is None


@pytest.mark.inline
def test_each_get_gives_a_private_copy(runner: Runner) -> None:
    future = runner.service(echo)([1, 2])
    future.get(BOUND_S).append(3)
    assert future.get() == [1, 2]


@pytest.mark.uplink
def test_waiting_too_long_is_an_error_that_says_the_call_goes_on(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path, "late")
    assert not future.wait(0.01)
    with pytest.raises(TimeoutError) as caught:
        future.get(timeout=0.01)
    assert isinstance(caught.value, CallTimeout)
    assert "It goes on" in str(caught.value)
    with pytest.raises(CallTimeout):
        future.exception(timeout=0)
    with pytest.raises(CallTimeout, match="1 of 1 calls have not ended"):
        runner.wait([future], timeout=0.01)
    gate.open()
    assert future.get(BOUND_S) == "late"


@pytest.mark.inline
def test_an_error_is_of_the_users_type_and_of_ours(runner: Runner) -> None:
    future = runner.service(fail)("no luck")
    with pytest.raises(ValueError, match=r"^no luck$") as caught:
        future.get(BOUND_S)
    assert isinstance(caught.value, TaskFailed)
    assert isinstance(future.exception(), FlameError)
    assert future.state == "failed"


@pytest.mark.uplink
def test_a_future_as_an_argument_does_not_block_the_caller(runner: Runner, gate: Gate) -> None:
    service, holding = runner.service(echo), runner.service(held)
    first = holding(gate.path, 5)
    second = service(first)
    assert second.state == "waiting"
    gate.open()
    assert second.get(BOUND_S) == 5


@pytest.mark.inline
def test_futures_are_found_wherever_they_hide_in_the_arguments(runner: Runner) -> None:
    service = runner.service(echo)
    one, two = service(1), service(2)
    shared = [one]
    value = {"list": [one, two], "tuple": (one, {"deep": two}), "twice": (shared, shared)}
    got = service(value).get(BOUND_S)
    assert got == {"list": [1, 2], "tuple": (1, {"deep": 2}), "twice": ([1], [1])}
    assert got["twice"][0] is got["twice"][1]


@pytest.mark.inline
def test_a_failed_argument_fails_the_call_without_running_it(runner: Runner, gate: Gate) -> None:
    service = runner.service(echo)
    last = service([service(runner.service(fail)("first"))])
    with pytest.raises(DependencyFailed, match=r"echo did not run.*ValueError: first") as caught:
        last.get(BOUND_S)
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.inline
def test_a_value_that_cannot_travel_is_an_error_at_the_call_that_names_the_argument(runner: Runner) -> None:
    service = runner.service(echo)
    with pytest.raises(NotPicklable, match=r"argument 1 of echo\(\).*lock"):
        service(threading.Lock())
    with pytest.raises(NotPicklable, match=r"argument 'value' of echo\(\)"):
        service(value=threading.Lock())
    assert service(1).get(BOUND_S) == 1


@pytest.mark.inline
def test_a_result_that_cannot_travel_is_an_error_of_the_call(runner: Runner) -> None:
    def lock() -> object:
        import threading

        return threading.Lock()

    with pytest.raises(NotPicklable, match="lock"):
        runner.service(lock)().get(BOUND_S)


@pytest.mark.uplink
def test_a_cancelled_call_says_so_in_both_languages(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path)
    assert gate.is_reached()
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError) as caught:
        future.get(BOUND_S)
    assert isinstance(caught.value, CallCancelled)
    assert future.cancelled()
    assert future.state == "cancelled"
    assert not future.cancel()


def test_callbacks_get_the_future_and_their_errors_are_only_logged(
    runner: Runner, gate: Gate, caplog: pytest.LogCaptureFixture
) -> None:
    future = runner.service(held)(gate.path, 1)
    called: list[ObjectFuture] = []
    both = threading.Barrier(2, timeout=BOUND_S)

    def wrong(_: ObjectFuture) -> None:
        raise RuntimeError("the callback is wrong")

    def right(ended: ObjectFuture) -> None:
        called.append(ended)
        both.wait()

    future.add_done_callback(wrong)
    future.add_done_callback(right)
    gate.open()
    both.wait()
    future.add_done_callback(called.append)  # it has ended: called at once
    assert called == [future, future]
    assert "the callback is wrong" in caplog.text


@pytest.mark.uplink
def test_select_gives_futures_in_the_order_in_which_they_end(runner: Runner, gate: Gate) -> None:
    held_back = runner.service(held)(gate.path, "last")
    quick = runner.service(echo)("first")
    selected = runner.select([held_back, quick])
    assert len(selected) == 2
    assert next(selected).get() == "first"
    gate.open()
    assert [each.get() for each in selected] == ["last"]


def test_awaiting_works_in_any_event_loop(runner: Runner) -> None:
    service = runner.service(echo)

    async def both() -> list[Any]:
        return list(await asyncio.gather(service(1), service(2)))

    assert asyncio.run(both()) == [1, 2]
    assert asyncio.run(both()) == [1, 2]


@pytest.mark.inline
def test_awaiting_a_failed_call_raises_its_error(runner: Runner) -> None:
    async def wait_for(future: ObjectFuture) -> Any:
        return await future

    with pytest.raises(ValueError, match="no luck"):
        asyncio.run(wait_for(runner.service(fail)("no luck")))


def test_an_await_can_be_cancelled_and_leaves_the_call_running(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path, 1)

    async def give_up() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(future, 0.05)  # type: ignore[arg-type, unused-ignore]

    asyncio.run(give_up())
    assert not future.done()
    gate.open()
    assert future.get(BOUND_S) == 1


def test_a_future_serves_the_tools_of_concurrent_futures(runner: Runner, gate: Gate) -> None:
    service, failing, holding = runner.service(echo), runner.service(fail), runner.service(held)
    good, bad, late = service(1).as_concurrent(), failing("x").as_concurrent(), holding(gate.path).as_concurrent()
    done, _ = concurrent.futures.wait([bad, late], BOUND_S, concurrent.futures.FIRST_EXCEPTION)
    assert done == {bad}
    assert isinstance(bad.exception(), ValueError)
    assert late.cancel()
    ended = set(concurrent.futures.as_completed([good, bad, late], BOUND_S))
    assert ended == {good, bad, late}
    assert good.result() == 1
    assert late.cancelled()
    with pytest.raises(concurrent.futures.CancelledError):
        late.result()


@pytest.mark.uplink
def test_an_interrupt_ends_the_wait_at_once_and_leaves_the_call_running(runner: Runner, gate: Gate) -> None:
    future = runner.service(held)(gate.path, 1)
    assert gate.is_reached()
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.2, signal.pthread_kill, (main, signal.SIGINT)).start()
    began_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        future.get(BOUND_S)
    assert time.monotonic() - began_s < BOUND_S / 2
    assert not future.done()
    gate.open()
    assert future.get(BOUND_S) == 1


@pytest.mark.inline
def test_a_finished_future_keeps_its_value_after_its_runner(engine: Engine) -> None:
    with Runner("short") as runner:
        future = runner.service(echo)("kept")
    assert future.get(BOUND_S) == "kept"
    with pytest.raises(RunnerClosed, match="before the Runner closes"):
        future.ref()


@pytest.mark.cluster
@pytest.mark.inline
@pytest.mark.tls
@pytest.mark.uplink
def test_what_a_call_prints_comes_with_its_future(runner: Runner) -> None:
    def talk() -> None:
        print("a word")

    future = runner.service(talk)()
    assert future.get(BOUND_S) is None
    assert future.output == "a word\n"


@pytest.mark.inline
def test_a_list_is_wanted_where_a_list_is_taken(runner: Runner) -> None:
    future = runner.service(echo)(1)
    with pytest.raises(FlameError, match="takes a list of futures"):
        runner.get(future)
    with pytest.raises(FlameError, match=r"futures\[1\] is int"):
        runner.wait([future, 3])  # type: ignore[list-item]
    assert runner.get([future]) == [1]
