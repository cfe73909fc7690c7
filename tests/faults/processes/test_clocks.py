# SPDX-License-Identifier: Apache-2.0
"""A program may stop, move or replace the clocks of ``time``: waits, callbacks and deadlines go by the real one."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterator

import freezegun
import pytest

from flamepy import CallTimeout, Runner
from flamepy.engine.api import Engine
from tests.signs import BOUND_S


@contextlib.contextmanager
def _frozen() -> Iterator[None]:
    with freezegun.freeze_time("2020-01-01"):
        yield


@contextlib.contextmanager
def _replaced(clock: Callable[[], float]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("monotonic", "perf_counter", "time"):
            patch.setattr(time, name, clock)
        yield


@contextlib.contextmanager
def _standing() -> Iterator[None]:
    with _replaced(lambda: 0.0):
        yield


@contextlib.contextmanager
def _jumping() -> Iterator[None]:
    hours = itertools.cycle((0.0, 1e9, -1e9))
    with _replaced(lambda: next(hours)):
        yield


CLOCKS = [
    pytest.param(_frozen, id="frozen by freezegun"),
    pytest.param(_standing, id="stands"),
    pytest.param(_jumping, id="jumps"),
]


def _same(value: int) -> int:
    return value


def _wait_for_ever() -> None:
    threading.Event().wait()


@pytest.mark.parametrize("clock", CLOCKS)
def test_calls_end_waits_give_up_and_callbacks_run_whatever_the_programs_clock_does(
    engine: Engine, clock: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    with Runner("clocks") as runner:
        service, endless = runner.service(_same), runner.service(_wait_for_ever)
        assert service(0).get(timeout=BOUND_S) == 0  # a worker is there, which has a clock of its own
        with clock():
            assert service(1).get(timeout=BOUND_S) == 1
            called = threading.Event()
            unwaited = service(2)
            unwaited.add_done_callback(lambda _: called.set())
            assert called.wait(BOUND_S)
            assert unwaited.done()
            future = endless()
            with pytest.raises(CallTimeout):
                future.get(timeout=0.05)
            assert not future.wait(0.05)
            assert future.cancel()
            assert future.wait(BOUND_S)


def _stop_the_clock() -> None:
    time.monotonic = time.perf_counter = lambda: 0.0


def test_a_worker_goes_on_after_a_call_that_stopped_its_clock(engine: Engine) -> None:
    with Runner("clocks") as runner:
        runner.service(_stop_the_clock)().get(timeout=BOUND_S)
        service = runner.service(_same)
        assert [service(value).get(timeout=BOUND_S) for value in range(20)] == list(range(20))
