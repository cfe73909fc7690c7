# SPDX-License-Identifier: Apache-2.0
"""Interrupts of a caller, at any moment of making and waiting for calls, lose nothing and block nobody."""

from __future__ import annotations

import asyncio
import concurrent.futures
import linecache
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

import flamepy
from flamepy import ObjectFuture, Runner
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from tests.signs import reached, until_exists
from tests.tracing import interrupted_at

BOUND_S = 20.0

STORM = """
import os, random, signal, threading, time
from flamepy import ObjectFuture, Runner

def double(value):
    return 2 * value

runner = Runner("storm")
service = runner.service(double)
assert service(1).get(20) == 2
is_over = threading.Event()
chance = random.Random(7)
is_expected = False

def interrupt(*_):
    global is_expected
    if is_expected:  # outside of the block an interrupt would end the program
        is_expected = False
        raise KeyboardInterrupt

def pester():
    while not is_over.wait(chance.random() * 0.01):
        os.kill(os.getpid(), signal.SIGINT)

pesterer = threading.Thread(target=pester)
signal.signal(signal.SIGINT, interrupt)
pesterer.start()
made, interrupts = [], 0
until = time.monotonic() + 3
while time.monotonic() < until:
    try:
        is_expected = True
        value = len(made)
        made.append((value, service(value)))
        if value % 2:
            assert made[-1][1].get(20) == 2 * value
        is_expected = False
    except KeyboardInterrupt:
        interrupts += 1
is_over.set()
pesterer.join()
print(all(future.get(20) == 2 * value for value, future in made), interrupts > 50, len(made) > 100)
"""


def echo(value: int) -> int:
    return value


def announce_and_sleep(path: str) -> None:
    Path(path).touch()
    time.sleep(60)


def test_a_storm_of_interrupts_loses_no_call(tmp_path: Path) -> None:
    (tmp_path / "storm.py").write_text(textwrap.dedent(STORM))
    done = subprocess.run(
        [sys.executable, "storm.py"], cwd=tmp_path, env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "True True True\n", "")


WAITS: dict[str, Callable[[Engine, Runner, ObjectFuture], object]] = {
    "get": lambda engine, runner, call: call.get(),
    "get with a bound": lambda engine, runner, call: call.get(BOUND_S),
    "wait": lambda engine, runner, call: call.wait(),
    "exception": lambda engine, runner, call: call.exception(),
    "ref": lambda engine, runner, call: call.ref(),
    "Runner.get": lambda engine, runner, call: runner.get([call]),
    "Runner.wait": lambda engine, runner, call: runner.wait([call]),
    "Runner.select": lambda engine, runner, call: list(runner.select([call])),
    "concurrent.futures.wait": lambda engine, runner, call: concurrent.futures.wait([call]),
    "asyncio": lambda engine, runner, call: asyncio.run(awaited(call)),
    "Engine.watch": lambda engine, runner, call: list(engine.watch(*named(call))),
}


def interrupt_inside(wait: Callable[..., object]) -> None:
    """Interrupt the main thread a moment after it has entered ``wait``: before, it would hit the test itself."""
    main = threading.main_thread().ident
    assert main is not None

    def is_inside() -> bool:
        frame: FrameType | None = sys._current_frames().get(main)
        while frame is not None and frame.f_code is not wait.__code__:
            frame = frame.f_back
        return frame is not None

    if reached(is_inside):
        threading.Event().wait(0.05)  # most ways are in their system call by then; all of them must end at any moment
        if is_inside():
            signal.pthread_kill(main, signal.SIGINT)


async def awaited(call: ObjectFuture) -> object:
    return await call


def named(call: ObjectFuture) -> tuple[str, str]:
    return call.completion.session_id, call.completion.task_id


@pytest.mark.uplink
def test_a_wait_that_is_interrupted_raises_at_once_and_the_call_goes_on(engine: Engine, tmp_path: Path) -> None:
    with Runner("interrupt") as runner:
        sleeping = runner.service(announce_and_sleep)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")
        for way, wait in WAITS.items():
            sender = threading.Thread(target=interrupt_inside, args=[wait])
            sender.start()
            began_s = time.monotonic()
            with pytest.raises(KeyboardInterrupt):
                wait(engine, runner, sleeping)
            sender.join(BOUND_S)
            assert time.monotonic() - began_s < BOUND_S / 2, way
            assert sleeping.running(), way
        assert runner.service(echo)(1).get(BOUND_S) == 1
        sleeping.cancel()


def test_the_handler_of_the_program_is_back_after_every_wait(embedded: EmbeddedEngine) -> None:
    before = signal.getsignal(signal.SIGINT)
    with Runner("handler") as runner:
        service = runner.service(echo)
        for index in range(50):
            assert service(index).get(BOUND_S) == index
            assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.uplink
def test_many_threads_wait_for_their_own_results(engine: Engine) -> None:
    with Runner("threads") as runner, concurrent.futures.ThreadPoolExecutor(16) as threads:
        service = runner.service(echo)
        results = list(threads.map(lambda index: service(index).get(BOUND_S), range(2000)))
        assert results == list(range(2000))


def test_a_short_wait_gives_up_in_time_while_others_wait_for_long(engine: Engine, tmp_path: Path) -> None:
    with Runner("timeouts") as runner:
        sleeping = runner.service(announce_and_sleep)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")
        waiter = threading.Thread(target=sleeping.wait)
        waiter.start()
        began_s = time.monotonic()
        for _ in range(10):
            assert not sleeping.wait(0.02)
        assert 0.2 <= time.monotonic() - began_s < BOUND_S / 2
        sleeping.cancel()
        waiter.join(BOUND_S)
        assert not waiter.is_alive()


def test_calls_go_on_while_the_caller_computes(embedded: EmbeddedEngine) -> None:
    with Runner("computes") as runner:
        service = runner.service(echo)
        assert service(0).get(BOUND_S) == 0  # from here on the caller has the lead for a moment
        futures = [service(index) for index in range(200)]
        deadline_s = time.monotonic() + BOUND_S
        while not all(future.done() for future in futures) and time.monotonic() < deadline_s:
            sum(range(1000))
        assert all(future.done() for future in futures)


def test_a_callback_may_wait_for_another_call(engine: Engine) -> None:
    results: list[int] = []
    ended = threading.Event()
    with Runner("callbacks") as runner:
        service = runner.service(echo)

        def call_again(future: ObjectFuture) -> None:
            results.append(service(future.get(BOUND_S) + 1).get(BOUND_S))
            if len(results) == 20:
                ended.set()

        for index in range(20):
            service(index).add_done_callback(call_again)
        assert ended.wait(BOUND_S)
    assert sorted(results) == list(range(1, 21))


def test_callbacks_run_although_the_caller_waits_for_something_else(embedded: EmbeddedEngine, tmp_path: Path) -> None:
    called = threading.Event()
    with Runner("callbacks") as runner:
        service = runner.service(echo)
        service(0).get(BOUND_S)
        sleeping = runner.service(announce_and_sleep)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")
        watcher = threading.Thread(target=lambda: called.wait(BOUND_S) and sleeping.cancel())
        watcher.start()
        service(1).add_done_callback(lambda _: called.set())
        assert sleeping.wait(BOUND_S)  # only the callback ends this
        watcher.join(BOUND_S)
        assert called.is_set()


class LinesOfClose:
    """Each once. Not a ``with``: the end of its block is such a line too, and there Python looks for no signal."""

    def __init__(self) -> None:
        self._seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType) -> bool:
        filename, number = frame.f_code.co_filename, frame.f_lineno
        if (filename, number) in self._seen or not filename.endswith(("runner/runner.py", "runner/deploy/closing.py")):
            return False
        self._seen.add((filename, number))
        return not linecache.getline(filename, number).strip().startswith("with ")


def closed_with_interrupt_at(number: int, begun: Path) -> bool:
    """Was there such a line? Whatever was interrupted, the next close brings it to its end."""
    runner = Runner("interrupted")
    call = runner.service(announce_and_sleep)(str(begun))
    until_exists(begun)
    was_interrupted = interrupted_at(number, lambda: runner.close(timeout=0.01), counts=LinesOfClose())
    runner.close(cancel=True)
    assert call.cancelled(), f"interrupted at line {number}, the call is {call.state}"
    assert flamepy.get_application("interrupted") is None
    return was_interrupted


def test_an_interrupt_at_any_line_of_close_leaves_nothing_that_the_next_close_does_not_end(
    embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    number = 1
    while closed_with_interrupt_at(number, tmp_path / f"begun-{number}"):
        number += 1
    assert number > 20, "it was not interrupted at the lines of interest"
