# SPDX-License-Identifier: Apache-2.0
"""What a program, or the machine, does to the engine from outside: it costs the one who did it, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import resource
import shutil
import signal
import socket
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flamepy
from flamepy import FlameError, ObjectFuture, Runner
from flamepy.engine.api import Engine
from flamepy.engine.current import current_engine
from flamepy.engine.local.engine import EmbeddedEngine
from tests.faults import bad_objects as bad
from tests.signs import BOUND_S


def _wait_for(path: str) -> str:
    while not os.path.exists(path):
        threading.Event().wait(0.005)
    return path


def _call_inside(value: int) -> int:
    with Runner("inside") as runner:
        return int(runner.service(bad.echo)(value).get(BOUND_S))


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def array(self, items: int) -> Any:
        self.count += 1
        return np.full(items, self.count)


def _assert_that_calls_go_on(runner: Runner) -> None:
    service = runner.service(bad.echo)
    assert [each.get(BOUND_S) for each in [service(value) for value in range(20)]] == list(range(20))
    assert runner.service(Counter).add().get(BOUND_S) == 1


# --- callbacks --------------------------------------------------------------------------------------------------------


class OutcomeOfATool(BaseException):
    """As test frameworks have: ``except Exception`` must not catch it."""


UNUSUAL = [ValueError, SystemExit, asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, OutcomeOfATool]


def _plainly(future: ObjectFuture, callback: Callable[[object], object]) -> None:
    future.add_done_callback(callback)


def _as_concurrent(future: ObjectFuture, callback: Callable[[object], object]) -> None:
    future.as_concurrent().add_done_callback(callback)


@pytest.mark.uplink
def test_whatever_a_callback_raises_is_logged_and_the_others_run(
    engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(kind: type[BaseException]) -> Callable[[object], None]:
        def raise_it(_: object) -> None:
            raise kind

        return raise_it

    with Runner("callbacks") as runner:
        service = runner.service(_wait_for)
        for attach, kind in itertools.product((_plainly, _as_concurrent), UNUSUAL):
            gate = tmp_path / f"{attach.__name__}-{kind.__name__}"
            later = threading.Event()
            future = service(str(gate))
            attach(future, raising(kind))
            future.add_done_callback(lambda _, later=later: later.set())
            caplog.clear()
            with caplog.at_level(logging.ERROR):
                gate.touch()
                assert later.wait(BOUND_S), gate.name
            assert kind.__name__ in caplog.text, gate.name
            _assert_that_calls_go_on(runner)


def test_a_future_of_an_event_loop_that_is_closed_harms_nothing(engine: Engine, tmp_path: Path) -> None:
    async def give_up(future: ObjectFuture) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(future.as_concurrent()), 0.01)

    with Runner("closed-loop") as runner:
        future = runner.service(_wait_for)(str(tmp_path / "gate"))
        waiting = asyncio.new_event_loop()
        awaiting = waiting.create_task(give_up(future))
        waiting.run_until_complete(asyncio.wait([awaiting]))
        waiting.close()
        (tmp_path / "gate").touch()
        _assert_that_calls_go_on(runner)


# --- signal handlers --------------------------------------------------------------------------------------------------


class Raised(Exception):
    pass


class RaisedAsExit(BaseException):
    pass


def _get(future: ObjectFuture) -> None:
    future.get(BOUND_S)


def _wait(future: ObjectFuture) -> None:
    future.wait(BOUND_S)


def _await(future: ObjectFuture) -> None:
    async def await_it() -> None:
        await future

    asyncio.run(await_it())


SIGNALS = ["SIGALRM", "SIGTERM", "SIGQUIT", "SIGCHLD", "SIGWINCH", "SIGCONT", "SIGTSTP", "SIGPIPE", "SIGRTMIN"]
HITS = [(name, _get, Raised) for name in SIGNALS] + [("SIGUSR1", look, RaisedAsExit) for look in (_get, _wait, _await)]


@pytest.fixture
def pester() -> Iterator[Callable[[str, type[BaseException]], None]]:
    """Have a signal come again and again, until the test ends, whose handler raises."""
    over = threading.Event()
    restored: list[tuple[int, Any]] = []
    threads: list[threading.Thread] = []

    def begin(name: str, kind: type[BaseException]) -> None:
        def raise_it(*_: object) -> None:
            over.set()  # once: the next one would hit the test's own lines
            raise kind

        def send() -> None:
            while not over.wait(0.02):
                os.kill(os.getpid(), number)

        number = getattr(signal, name)
        restored.append((number, signal.signal(number, raise_it)))
        threads.append(threading.Thread(target=send))
        threads[-1].start()

    yield begin
    over.set()
    for thread in threads:
        thread.join()
    for number, handler in restored:
        signal.signal(number, signal.SIG_IGN)  # one may be on its way
        signal.signal(number, handler)


@pytest.mark.skipif(not hasattr(signal, "SIGRTMIN"), reason="macOS has no real-time signals, Linux runs all of these")
@pytest.mark.parametrize(("name", "look", "kind"), HITS)
def test_what_a_signal_handler_raises_comes_out_of_the_wait_and_nothing_else_happens(
    embedded: EmbeddedEngine,
    tmp_path: Path,
    pester: Callable[[str, type[BaseException]], None],
    name: str,
    look: Callable[[ObjectFuture], None],
    kind: type[BaseException],
) -> None:
    with Runner("signals") as runner:
        gate = tmp_path / "gate"
        future = runner.service(_wait_for)(str(gate))
        with pytest.raises(kind):  # noqa: PT012 - the handler may raise as soon as it is there
            pester(name, kind)
            look(future)
        gate.touch()
        assert future.get(BOUND_S) == str(gate)
        _assert_that_calls_go_on(runner)


# --- the temporary directory ------------------------------------------------------------------------------------------


def _scratch() -> Path:
    (found,) = Path(tempfile.gettempdir()).glob("flame-*")
    return found


def _remove_all() -> None:
    shutil.rmtree(_scratch())


def _remove_packages() -> None:
    shutil.rmtree(_scratch() / "packages")


def _remove_applications() -> None:
    shutil.rmtree(_scratch() / "apps")


def _remove_uplink() -> None:
    (_scratch() / "uplink").unlink()


def _remove_temporary_directory() -> None:
    shutil.rmtree(tempfile.gettempdir())


@pytest.mark.parametrize(
    "remove", [_remove_all, _remove_packages, _remove_applications, _remove_uplink, _remove_temporary_directory]
)
def test_a_cleaner_of_the_temporary_directory_ends_no_service(
    an_engine_of_its_own: None, embedded: EmbeddedEngine, project: Path, remove: Callable[[], None]
) -> None:
    (project / "helper.py").write_text("VALUE = 7\n")
    with Runner("cleaned") as runner:
        service, counter = runner.service(bad.echo), runner.service(Counter)
        assert service(1).get(BOUND_S) == 1
        assert counter.add().get(BOUND_S) == 1
        remove()
        assert service(2).get(BOUND_S) == 2
        assert counter.add().get(BOUND_S) == 2
        refused = runner.service(Counter).add().exception(BOUND_S)  # it needs a new worker
        assert refused is None or "create it again" in str(refused)
        assert service(3).get(BOUND_S) == 3
    with Runner("after-cleaning") as runner:
        _assert_that_calls_go_on(runner)
        assert runner.service(_call_inside)(5).get(BOUND_S) == 5


# --- descriptors ------------------------------------------------------------------------------------------------------

BIG = 20_000  # numbers: more than travels without a descriptor


@pytest.fixture
def few_descriptors(embedded: EmbeddedEngine) -> Iterator[Callable[[int], None]]:
    """Allow this process so many descriptors more than it has now."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)

    def allow(more: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        resource.setrlimit(resource.RLIMIT_NOFILE, (_limit_for(more), before[1]))

    yield allow
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def _limit_for(more: int) -> int:
    """The limit with which this process can open so many files more."""
    taken = set(map(int, os.listdir("/proc/self/fd")))
    free = (number for number in itertools.count() if number not in taken)
    return next(itertools.islice(free, more, None))


def _make(value: int) -> Any:
    return np.full(BIG, value)


def _names_the_limit(error: BaseException | None) -> bool:
    return isinstance(error, FlameError) and "ulimit -n" in str(error)


def test_more_big_results_than_descriptors_are_values_or_errors_that_name_the_limit(
    few_descriptors: Callable[[int], None],
) -> None:
    with Runner("results") as runner:
        service = runner.service(_make)
        assert service(1).get(BOUND_S)[0] == 1
        few_descriptors(40)
        futures = [service(value) for value in range(100)]
        errors = [future.exception(BOUND_S) for future in futures]
        assert 0 < sum(error is not None for error in errors) < 100
        assert all(error is None or _names_the_limit(error) for error in errors)
        del futures, errors
        assert service(2).get(BOUND_S)[0] == 2
        few_descriptors(40)
        _assert_that_calls_go_on(runner)


class Mark:
    """Something of the caller's, to see whether it is let go."""


def test_an_error_that_the_engine_keeps_holds_nothing_of_its_caller(few_descriptors: Callable[[int], None]) -> None:
    with Runner("frames") as runner:
        service = runner.service(_make)

        def fail_to_get() -> weakref.ref[Mark]:
            mark = Mark()
            with pytest.raises(FlameError):
                runner.get([service(value) for value in range(100)])
            return weakref.ref(mark)

        assert service(1).get(BOUND_S)[0] == 1
        gc.collect()
        gc.disable()
        try:
            few_descriptors(40)
            assert fail_to_get()() is None
        finally:
            gc.enable()


def test_state_that_cannot_be_received_is_as_if_the_call_had_not_been(few_descriptors: Callable[[int], None]) -> None:
    with Runner("state") as runner:
        counter = runner.service(Counter)
        assert counter.add().get(BOUND_S) == 1
        few_descriptors(40)
        futures = [counter.array(BIG) for _ in range(60)]
        errors = [future.exception(BOUND_S) for future in futures]
        assert any(map(_names_the_limit, errors))
        succeeded = sum(error is None for error in errors)
        del futures, errors
        few_descriptors(100)
        assert counter.add().get(BOUND_S) == succeeded + 2


@pytest.mark.parametrize("more", [0, 1, 2, 3, 5, 8])
def test_without_descriptors_each_step_says_so_and_afterwards_all_of_them_work(
    few_descriptors: Callable[[int], None], more: int
) -> None:
    with Runner("few") as runner:
        service, inside = runner.service(bad.echo), runner.service(_call_inside)
        assert service(1).get(BOUND_S) == 1
        few_descriptors(more)
        errors: list[BaseException | None] = []
        for step in (
            lambda: service(np.zeros(BIG)).exception(BOUND_S),
            lambda: runner.service(Counter).add().exception(BOUND_S),
            lambda: inside(3).exception(BOUND_S),
            lambda: Runner("another").close(),
        ):
            try:
                errors.append(step())
            except FlameError as error:
                errors.append(error)
        assert service(2).get(BOUND_S) == 2
        few_descriptors(200)
        _assert_that_calls_go_on(runner)
        assert inside(4).get(BOUND_S) == 4
        assert all(error is None or _names_the_limit(error) for error in errors), errors


def test_the_users_own_sockets_may_take_all_descriptors(few_descriptors: Callable[[int], None]) -> None:
    with Runner("sockets") as runner:
        service, make = runner.service(bad.echo), runner.service(_make)
        assert service(1).get(BOUND_S) == 1
        few_descriptors(20)
        with contextlib.ExitStack() as taken:
            with contextlib.suppress(OSError):
                while True:
                    taken.enter_context(socket.socket())
            assert service(2).get(BOUND_S) == 2
            assert _names_the_limit(make(3).exception(BOUND_S))
        assert make(4).get(BOUND_S)[0] == 4


def _use_up_descriptors(count: int) -> int:
    resource.setrlimit(resource.RLIMIT_NOFILE, (_limit_for(0), resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    return count


def test_a_worker_without_descriptors_says_so_of_the_call(embedded: EmbeddedEngine) -> None:
    with Runner("worker") as runner:
        service = runner.service(bad.echo)
        runner.resize(1)
        assert runner.service(_use_up_descriptors)(1).get(BOUND_S) == 1
        assert _names_the_limit(service(np.zeros(BIG)).exception(BOUND_S))
        assert service(2).get(BOUND_S) == 2


# --- the engine itself ------------------------------------------------------------------------------------------------


def test_an_engine_that_had_to_end_says_why_and_the_next_runner_has_a_new_one(
    project: Path, nothing_is_left: None, tmp_path: Path
) -> None:
    def break_the_pipe() -> None:
        for fd in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{fd}").startswith("pipe:"):
                    os.write(int(fd), b"no frame" * 8)

    runner = Runner("ends")
    waiting = runner.service(_wait_for)(str(tmp_path / "never"))
    service = runner.service(break_the_pipe)
    ended = current_engine()
    service()
    error = waiting.exception(BOUND_S)
    assert isinstance(error, flamepy.EngineFailed)
    assert "Create the Runner again" in str(error)
    with pytest.raises(flamepy.EngineFailed):
        service()
    runner.close()
    with Runner("ends") as again:
        _assert_that_calls_go_on(again)
    assert current_engine() is not ended
