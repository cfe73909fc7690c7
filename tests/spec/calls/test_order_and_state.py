# SPDX-License-Identifier: Apache-2.0
"""Stateful services: one object, calls in order, state exactly that of the acknowledged calls."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from tests.conftest import memory_descriptors
from tests.signs import reached, worker_pids

BOUND_S = 20.0


class Log:
    def __init__(self) -> None:
        self.lines: list[Any] = []

    def append(self, line: Any) -> int:
        self.lines.append(line)
        return len(self.lines)

    def all(self) -> list[Any]:
        return self.lines

    def append_and_fail(self, line: Any) -> None:
        self.lines.append(line)
        raise ValueError(line)

    def pid(self) -> int:
        return os.getpid()


class HoldsLock:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0

    def step(self) -> int:
        self.count += 1
        return self.count

    def pid(self) -> int:
        return os.getpid()


class Matrix:
    def __init__(self, side: int) -> None:
        self.data = np.zeros((side, side))

    def fill(self, value: float) -> float:
        self.data[:] = value
        return float(self.data.sum())

    def fill_and_fail(self, value: float) -> None:
        self.data[:] = value
        raise ValueError

    def total(self) -> float:
        return float(self.data.sum())


def wait_for_file(path: str) -> str:
    """Return when the file is there: how a test decides the moment."""
    while not os.path.exists(path):
        threading.Event().wait(0.005)
    return path


@pytest.mark.inline
def test_calls_run_one_at_a_time_in_the_order_in_which_they_were_made(engine: Engine) -> None:
    with Runner("order") as runner:
        log = runner.service(Log)
        for index in range(200):
            log.append(index)
        assert log.all().get(BOUND_S) == list(range(200))


@pytest.mark.cluster
@pytest.mark.uplink
def test_later_calls_wait_behind_one_that_waits_for_its_argument(engine: Engine, tmp_path: Path) -> None:
    with Runner("order") as runner:
        log = runner.service(Log)
        gate = tmp_path / "gate"
        log.append(runner.service(wait_for_file)(str(gate)))
        last = log.append("second")
        assert not last.wait(0.05)
        gate.touch()
        assert last.get(BOUND_S) == 2
        assert log.all().get(BOUND_S) == [str(gate), "second"]


@pytest.mark.inline
def test_a_failed_call_leaves_the_state_as_it_was(engine: Engine) -> None:
    with Runner("rollback") as runner:
        log = runner.service(Log)
        log.append("kept")
        with pytest.raises(ValueError, match="lost"):
            log.append_and_fail("lost").get(BOUND_S)
        assert log.all().get(BOUND_S) == ["kept"]


@pytest.mark.inline
def test_a_failed_first_call_leaves_the_state_of_the_constructor(engine: Engine) -> None:
    with Runner("rollback") as runner:
        log = runner.service(Log)
        assert isinstance(log.append_and_fail("lost").exception(BOUND_S), ValueError)
        assert log.all().get(BOUND_S) == []


def test_big_arrays_in_the_state_are_saved_rolled_back_and_restored(engine: Engine) -> None:
    with Runner("matrix") as runner:
        matrix = runner.service(Matrix(200))
        assert matrix.fill(2.0).get(BOUND_S) == 80_000
        assert isinstance(matrix.fill_and_fail(5.0).exception(BOUND_S), ValueError)
        assert matrix.total().get(BOUND_S) == 80_000
        kill_workers_with_state(engine)
        assert matrix.total().get(BOUND_S) == 80_000
        assert matrix.fill(1.0).get(BOUND_S) == 40_000


def test_the_memory_of_a_big_object_goes_with_its_service(embedded: EmbeddedEngine) -> None:
    with Runner("state") as runner:
        runner.service(divmod)(3, 2).get(BOUND_S)
        before = memory_descriptors()
        big = runner.service(Matrix(1000))
        assert big.fill(1.0).get(BOUND_S) == 1e6
        assert memory_descriptors() > before
        big.close()
        assert reached(lambda: memory_descriptors() <= before)


@pytest.mark.uplink
def test_a_lost_workers_successor_has_exactly_the_acknowledged_calls(engine: Engine) -> None:
    with Runner("loss") as runner:
        log = runner.service(Log)
        acknowledged = []
        for turn in range(5):
            futures = [log.append((turn, index)) for index in range(20)]
            futures[turn].wait(BOUND_S)
            kill_workers_with_state(engine)
            acknowledged += [(turn, index) for index, future in enumerate(futures) if future.exception(BOUND_S) is None]
        assert log.all().get(BOUND_S) == acknowledged


def test_state_that_cannot_be_pickled_works_warns_once_and_is_lost_with_the_worker(engine: Engine) -> None:
    with Runner("unsaved") as runner:
        service = runner.service(HoldsLock)
        with pytest.warns(UserWarning, match="lock"):
            assert service.step().get(BOUND_S) == 1
        assert service.step().get(BOUND_S) == 2
        kill_workers_with_state(engine)
        with pytest.raises(flamepy.StateLost, match="__getstate__"):
            service.step().get(BOUND_S)


def test_instances_of_one_class_do_not_share_state(engine: Engine) -> None:
    with Runner("two") as runner:
        one, two = runner.service(Log), runner.service(Log())
        one.append("one").wait(BOUND_S)
        assert two.all().get(BOUND_S) == []
        assert one.pid().get(BOUND_S) != two.pid().get(BOUND_S)


def kill_workers_with_state(engine: Engine) -> None:
    """Pull the plug on the workers that keep a stateful service, idle or not."""
    for pid in worker_pids(engine, lambda worker: worker.session_id is not None):
        os.kill(pid, signal.SIGKILL)
