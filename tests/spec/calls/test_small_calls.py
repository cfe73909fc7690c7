# SPDX-License-Identifier: Apache-2.0
"""Many small calls at once: they share packets and iterations of the event loop, unnoticed."""

from __future__ import annotations

import collections
import os
from pathlib import Path

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from tests.signs import BOUND_S, until_exists

CALLS = 2_000


def note(path: str, number: int, not_before: str = "") -> int:
    """Append is one step for lines as short as these, whoever writes."""
    if not_before:
        until_exists(Path(not_before))
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(fd, f"{number}\n".encode())
    os.close(fd)
    return number


def maybe_stay(begun: str, until: str, number: int, long_one: int) -> int:
    if number == long_one:
        Path(begun).touch()
        until_exists(Path(until))
    return number


class Log:
    def __init__(self) -> None:
        self.numbers: list[int] = []

    def add(self, number: int) -> None:
        self.numbers.append(number)

    def all(self) -> list[int]:
        return self.numbers


def noted(path: Path) -> collections.Counter[int]:
    return collections.Counter(map(int, path.read_text().split()))


@pytest.mark.uplink
def test_each_of_many_small_calls_runs_once_and_gives_its_own_value(engine: Engine, tmp_path: Path) -> None:
    with Runner("small") as runner:
        service = runner.service(note)
        futures = [service(str(tmp_path / "log"), number) for number in range(CALLS)]
        assert runner.get(futures) == list(range(CALLS))
    assert noted(tmp_path / "log") == dict.fromkeys(range(CALLS), 1)


def test_small_calls_on_one_object_are_made_in_their_order(engine: Engine) -> None:
    with Runner("small") as runner:
        log = runner.service(Log)
        for number in range(CALLS):
            log.add(number)
        assert log.all().get(BOUND_S) == list(range(CALLS))


@pytest.mark.uplink
def test_what_was_cancelled_before_it_ran_never_runs_and_the_others_run_once(engine: Engine, tmp_path: Path) -> None:
    with Runner("small") as runner:
        service = runner.service(note)
        runner.get([service(str(tmp_path / "first"), number) for number in range(20)])  # now they are known as short
        futures = [service(str(tmp_path / "log"), number, str(tmp_path / "go")) for number in range(CALLS)]
        for future in futures[::-3]:
            future.cancel()
        (tmp_path / "go").touch()
        for future in futures[-2::-3]:
            future.cancel()  # while the others run
        assert all(future.wait(BOUND_S) for future in futures)
        never = {
            number
            for number, future in enumerate(futures)
            if future.cancelled() and "before it ran" in str(future.exception())
        }
        interrupted = {number for number, future in enumerate(futures) if future.cancelled()} - never
    ran = noted(tmp_path / "log")
    assert len(never) > CALLS / 4
    assert not never & ran.keys()
    assert set(ran.values()) == {1}
    assert ran.keys() | interrupted == set(range(CALLS)) - never | interrupted


@pytest.mark.parametrize("long_one", [0, 7, 60], ids=["first", "in a packet", "late"])
def test_small_calls_do_not_wait_behind_a_long_one(engine: Engine, tmp_path: Path, long_one: int) -> None:
    begun, until = str(tmp_path / "begun"), str(tmp_path / "until")
    with Runner("small") as runner:
        service = runner.service(maybe_stay)
        runner.get([service(begun, until, number, -1) for number in range(20)])
        futures = [service(begun, until, number, long_one) for number in range(200)]
        until_exists(Path(begun))
        others = futures[:long_one] + futures[long_one + 1 :]
        assert all(future.wait(BOUND_S) for future in others)
        assert not futures[long_one].done()
        Path(until).touch()
        assert futures[long_one].get(BOUND_S) == long_one


def test_a_failing_small_call_fails_alone(engine: Engine) -> None:
    with Runner("small") as runner:
        divide = runner.service(divmod)
        runner.get([divide(1, 1) for _ in range(20)])
        futures = [divide(number, number % 10) for number in range(300)]
        for number, future in enumerate(futures):
            if number % 10:
                assert future.get(BOUND_S) == divmod(number, number % 10)
            else:
                with pytest.raises(ZeroDivisionError):
                    future.get(BOUND_S)
                assert isinstance(future.exception(), flamepy.TaskFailed)
