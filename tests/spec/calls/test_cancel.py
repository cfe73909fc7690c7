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


@pytest.mark.cluster
@pytest.mark.tls
@pytest.mark.uplink
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


@pytest.mark.uplink
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


@pytest.mark.cluster
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


@pytest.mark.uplink
def test_cancelling_many_calls_at_once_ends_every_one(engine: Engine, tmp_path: Path) -> None:
    with Runner("cancel") as runner:
        sleeper = runner.service(announce_and_sleep)
        futures = [sleeper(str(tmp_path / str(index))) for index in range(50)]
        for future in futures:
            future.cancel()
        assert all(future.wait(BOUND_S) for future in futures)
        assert all(future.cancelled() for future in futures)
        assert runner.service(os.getpid)().get(BOUND_S) > 0


class Stubborn:
    """Its methods go on when they are interrupted, each in its own way."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def go_on(self, sign: str) -> int:
        self.count += 100
        _until_interrupted(sign)
        self.count += 100
        return self.count

    def raise_another(self, sign: str) -> None:
        self.count += 100
        _until_interrupted(sign)
        raise ValueError("interrupted")

    def clean_up(self, sign: str) -> int:
        try:
            Path(sign).touch()
            while True:
                time.sleep(0.005)
        finally:
            self.count += 100
            return self.count  # noqa: B012 - code that swallows every exception


def _until_interrupted(sign: str) -> None:
    Path(sign).touch()
    try:
        while True:
            time.sleep(0.005)
    except KeyboardInterrupt:
        return


@pytest.mark.parametrize("method", ["go_on", "raise_another", "clean_up"])
def test_a_cancelled_call_is_cancelled_and_changes_no_state_whatever_its_code_does(
    engine: Engine, tmp_path: Path, method: str
) -> None:
    with Runner("stubborn") as runner:
        service = runner.service(Stubborn)
        assert service.add().get(BOUND_S) == 1
        future = getattr(service, method)(str(tmp_path / "sign"))
        until_exists(tmp_path / "sign")
        following = service.add()
        assert future.cancel()
        assert isinstance(future.exception(BOUND_S), flamepy.CallCancelled)
        assert future.cancelled()
        assert following.get(BOUND_S) == 2


@pytest.mark.uplink
def test_a_call_of_which_cancel_said_true_never_gives_a_value(engine: Engine) -> None:
    with Runner("races") as runner:
        double, counter = runner.service(_double), runner.service(Stubborn)
        counted = 0
        for _ in range(150):
            stateless, stateful = double(2), counter.add()
            for future in (stateless, stateful):
                is_cancelled = future.cancel()
                error = future.exception(BOUND_S)
                assert isinstance(error, flamepy.CallCancelled) if is_cancelled else error is None
                assert future.cancelled() is is_cancelled
            counted += stateful.exception(0) is None
        assert counter.add().get(BOUND_S) == counted + 1


def _double(value: int) -> int:
    return 2 * value
