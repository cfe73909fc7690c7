# SPDX-License-Identifier: Apache-2.0
"""Calls that make calls: Runners, services and futures inside of calls, passed to them, returned from them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine

BOUND_S = 30.0


def double(value: int) -> int:
    return 2 * value


def fibonacci(n: int) -> int:
    if n < 2:
        return n
    with Runner("fibonacci") as inner:
        service = inner.service(fibonacci)
        first, second = service(n - 1), service(n - 2)
        return int(first.get(BOUND_S)) + int(second.get(BOUND_S))


def use_service(service: Any, value: int) -> int:
    return int(service(value).get(BOUND_S))


def start_call(service: Any, value: int) -> Any:
    return service(value)


def count_in(service: Any) -> int:
    return int(service.add(1).get(BOUND_S))


def fetch(ref: Any) -> Any:
    return flamepy.get_object(ref[0])


def fail_inside() -> None:
    with Runner("inner") as inner:
        inner.service(divide)(1, 0).get(BOUND_S)


def divide(a: int, b: int) -> float:
    return a / b


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, n: int) -> int:
        self.count += n
        return self.count


@pytest.mark.inline
def test_recursion_over_more_levels_than_workers_does_not_deadlock(engine: Engine) -> None:
    with Runner("fibonacci") as runner:
        assert runner.service(fibonacci)(6).get(BOUND_S) == 8


@pytest.mark.inline
def test_a_service_can_be_passed_to_a_call(engine: Engine) -> None:
    with Runner("handles") as runner:
        doubler, user = runner.service(double), runner.service(use_service)
        assert [future.get(BOUND_S) for future in [user(doubler, n) for n in range(6)]] == [0, 2, 4, 6, 8, 10]


@pytest.mark.inline
def test_a_stateful_service_passed_to_calls_is_one_object(engine: Engine) -> None:
    with Runner("handles") as runner:
        counter, user = runner.service(Counter), runner.service(count_in)
        assert sorted(future.get(BOUND_S) for future in [user(counter) for _ in range(5)]) == [1, 2, 3, 4, 5]
        assert counter.add(0).get(BOUND_S) == 5


@pytest.mark.inline
def test_a_future_can_be_returned_from_a_call(engine: Engine) -> None:
    with Runner("handles") as runner:
        inner = runner.service(start_call)(runner.service(double), 21).get(BOUND_S)
        assert isinstance(inner, flamepy.ObjectFuture)
        assert inner.get(BOUND_S) == 42


@pytest.mark.inline
def test_the_object_cache_is_reached_from_a_call(engine: Engine) -> None:
    with Runner("cache") as runner:
        ref = runner.put_object({"big": b"x" * 100_000})
        assert runner.service(fetch)([ref]).get(BOUND_S) == {"big": b"x" * 100_000}


def test_calls_inside_calls_work_below_a_temporary_directory_with_a_very_long_name(
    project: Path, nothing_is_left: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("deep" * 30) / ("deeper" * 20)
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with Runner("deep") as runner:
        assert runner.service(use_service)(runner.service(double), 4).get(BOUND_S) == 8


@pytest.mark.inline
def test_an_error_of_an_inner_call_arrives_with_its_own_type(engine: Engine) -> None:
    with Runner("outer") as runner, pytest.raises(ZeroDivisionError):
        runner.service(fail_inside)().get(BOUND_S)
