# SPDX-License-Identifier: Apache-2.0
"""Proof that an engine still works after what was done to it."""

from __future__ import annotations

from typing import Any

from flamepy import Runner
from tests.faults import bad_objects as bad
from tests.signs import BOUND_S


def call_inside(value: int) -> int:
    with Runner("inside") as runner:
        return int(runner.service(bad.echo)(value).get(BOUND_S))


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count

    def array(self, items: int) -> Any:
        import numpy as np  # here, because few tests need it on their workers

        self.count += 1
        return np.full(items, self.count)


def assert_that_calls_go_on(runner: Runner) -> None:
    service = runner.service(bad.echo)
    assert [each.get(BOUND_S) for each in [service(value) for value in range(20)]] == list(range(20))
    assert runner.service(Counter).add().get(BOUND_S) == 1
