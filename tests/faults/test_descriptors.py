# SPDX-License-Identifier: Apache-2.0
"""What a process that may open no file more can still do; of the rest it says which limit stands in the way."""

from __future__ import annotations

import contextlib
import gc
import itertools
import os
import resource
import socket
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from flamepy import FlameError, Runner
from flamepy.engine.local.engine import EmbeddedEngine
from tests.faults import bad_objects as bad
from tests.faults.going_on import Counter, assert_that_calls_go_on, call_inside
from tests.signs import BOUND_S

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
        assert_that_calls_go_on(runner)


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
        service, inside = runner.service(bad.echo), runner.service(call_inside)
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
        assert_that_calls_go_on(runner)
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


class NeedsDescriptorsToBeRead:
    def __reduce__(self) -> tuple[Callable[[], Any], tuple[()]]:
        return os.pipe, ()


def test_a_result_that_needs_descriptors_to_be_read_names_the_limit_and_can_be_read_later(
    few_descriptors: Callable[[int], None],
) -> None:
    with Runner("reading") as runner:
        future = runner.service(lambda: NeedsDescriptorsToBeRead())()
        future.wait(BOUND_S)
        few_descriptors(0)
        with pytest.raises(FlameError, match="ulimit -n"):
            future.get(BOUND_S)
        few_descriptors(10)
        for end in future.get(BOUND_S):
            os.close(end)
