# SPDX-License-Identifier: Apache-2.0
"""Cancelling a call at the edges of its run: sent and not begun, or begun while the answer before is on its way."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.local.engine import EmbeddedEngine
from tests.signs import BOUND_S, reached, until_exists


def answer(path: str) -> int:
    """Ends at once; with a path it goes on for ever, whatever interrupts it."""
    while path:
        try:
            Path(path).touch()
            threading.Event().wait(60)
        except KeyboardInterrupt:
            continue
    return os.getpid()


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """The worker begins nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def in_flight(embedded: EmbeddedEngine) -> Callable[[int], bool]:
    """Have this many calls been sent to the only worker?"""
    pool = embedded._loop.pool
    return lambda count: [len(worker.in_flight) for worker in pool.all()] == [count]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_calls_that_a_worker_has_and_has_not_begun_are_cancelled_at_once_and_it_goes_on(
    an_engine_of_its_own: None, embedded: EmbeddedEngine, tmp_path: Path, count: int
) -> None:
    embedded.resize(1)
    signs = tmp_path / "signs"
    signs.mkdir()
    with Runner("cancel") as runner:
        service = runner.service(answer)
        pid = {service("").get(BOUND_S) for _ in range(3)}.pop()
        with stopped(pid):
            futures = [service(str(signs / str(index))) for index in range(count)]
            assert reached(lambda: in_flight(embedded)(count))
            for future in futures:
                assert future.cancel()
            for future in futures:
                with pytest.raises(flamepy.CallCancelled, match="before it ran"):
                    future.get(BOUND_S)
        assert service("").get(BOUND_S) == pid
        assert not list(signs.iterdir()), "a cancelled call has run"


def test_a_cancelled_call_that_resists_is_killed_although_the_answer_before_it_comes_after_the_cancel(
    an_engine_of_its_own: None, embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    embedded.resize(1)
    loop = embedded._loop
    is_held, may_go_on = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        assert may_go_on.wait(BOUND_S)

    with Runner("cancel") as runner:
        service = runner.service(answer)
        pid = {service("").get(BOUND_S) for _ in range(3)}.pop()
        with stopped(pid):
            before, resisting = service(""), service(str(tmp_path / "begun"))
            assert reached(lambda: in_flight(embedded)(2))
            loop.post(hold)
            assert is_held.wait(BOUND_S)
        until_exists(tmp_path / "begun")  # so the worker has answered the call before; the engine has not read it
        cancelling = threading.Thread(target=resisting.cancel)
        cancelling.start()
        assert reached(lambda: bool(loop._inbox))
        may_go_on.set()
        cancelling.join(BOUND_S)
        assert before.get(BOUND_S) == pid
        with pytest.raises(flamepy.CallCancelled, match="killed"):
            resisting.get(BOUND_S)
