# SPDX-License-Identifier: Apache-2.0
"""Cancelling: waiting calls go, running ones are interrupted, stubborn ones are killed; nobody else notices."""

from __future__ import annotations

import concurrent.futures
import os
import time
from pathlib import Path

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from tests.signs import until_exists

BOUND_S = 20.0


def announce_and_sleep(path: str) -> None:
    Path(path).touch()
    time.sleep(60)


def announce_and_resist(path: str) -> None:
    """Swallows every interrupt, from the moment on when it announces itself."""
    while True:
        try:
            Path(path).touch()
            time.sleep(60)
        except KeyboardInterrupt:
            continue


def echo(value: int) -> int:
    return value


class Slow:
    def __init__(self) -> None:
        self.count = 0

    def step(self) -> int:
        self.count += 1
        return self.count

    def step_and_sleep(self, path: str) -> None:
        self.count += 100
        announce_and_sleep(path)


def test_a_running_call_is_interrupted(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        running = runner.service(announce_and_sleep)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")
        assert running.cancel()
        with pytest.raises(flamepy.CallCancelled, match="interrupted"):
            running.get(BOUND_S)
        with pytest.raises(concurrent.futures.CancelledError):
            running.get()
        assert running.cancelled()
        assert not running.cancel()
        assert runner.service(echo)(1).get(BOUND_S) == 1


def test_a_call_that_swallows_interrupts_is_ended_with_its_worker(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        running = runner.service(announce_and_resist)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")
        assert running.cancel()
        with pytest.raises(flamepy.CallCancelled, match="killed"):
            running.get(BOUND_S)
        assert runner.service(echo)(1).get(BOUND_S) == 1


def test_a_waiting_call_is_removed_and_the_others_run(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        sleeper = runner.service(announce_and_sleep, autoscale=False)
        first = sleeper(str(tmp_path / "first"))
        second, third = sleeper(str(tmp_path / "second")), sleeper(str(tmp_path / "third"))
        until_exists(tmp_path / "first")
        assert second.cancel()
        assert second.cancelled()
        assert first.cancel()
        until_exists(tmp_path / "third")
        assert not (tmp_path / "second").exists()
        assert third.cancel()
        assert third.wait(BOUND_S)


def test_a_cancelled_call_of_a_stateful_service_leaves_its_state(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        slow = runner.service(Slow)
        assert slow.step().get(BOUND_S) == 1
        running, waiting = slow.step_and_sleep(str(tmp_path / "begun")), slow.step()
        until_exists(tmp_path / "begun")
        assert running.cancel()
        assert waiting.get(BOUND_S) == 2
        assert running.cancelled()


def test_a_call_that_depends_on_a_cancelled_one_fails_with_that_cause(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        running = runner.service(announce_and_sleep)(str(tmp_path / "begun"))
        dependent = runner.service(echo)(running)
        until_exists(tmp_path / "begun")
        running.cancel()
        error = dependent.exception(BOUND_S)
        assert isinstance(error, flamepy.DependencyFailed)
        assert isinstance(error.__cause__, flamepy.CallCancelled)


def test_cancelling_many_calls_at_once_ends_every_one(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        sleeper = runner.service(announce_and_sleep)
        futures = [sleeper(str(tmp_path / str(index))) for index in range(50)]
        for future in futures:
            future.cancel()
        assert all(future.wait(BOUND_S) for future in futures)
        assert all(future.cancelled() for future in futures)
        assert runner.service(os.getpid)().get(BOUND_S) > 0
