# SPDX-License-Identifier: Apache-2.0
"""What a program, or the machine, does to the engine from outside: it costs the one who did it, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import ObjectFuture, Runner
from flamepy.engine.api import Engine
from flamepy.engine.current import current_engine
from flamepy.engine.local.engine import EmbeddedEngine
from tests.faults import bad_objects as bad
from tests.faults.going_on import Counter, assert_that_calls_go_on, call_inside
from tests.signs import BOUND_S


def _wait_for(path: str) -> str:
    while not os.path.exists(path):
        threading.Event().wait(0.005)
    return path


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
            assert_that_calls_go_on(runner)


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
        assert_that_calls_go_on(runner)


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
        assert_that_calls_go_on(runner)


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
        assert_that_calls_go_on(runner)
        assert runner.service(call_inside)(5).get(BOUND_S) == 5


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
        assert_that_calls_go_on(again)
    assert current_engine() is not ended
