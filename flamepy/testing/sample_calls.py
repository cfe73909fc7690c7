# SPDX-License-Identifier: Apache-2.0
"""Calls that every engine can run, because every worker can import them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn


def echo(value: Any) -> Any:
    return value


def add(first: int, second: int) -> int:
    return first + second


def fail(message: str) -> NoReturn:
    raise ValueError(message)


def count_to(end: int) -> Iterator[int]:
    yield from range(end)


class Counter:
    """An object with state."""

    def __init__(self) -> None:
        self.total = 0

    def add(self, number: int) -> int:
        self.total += number
        return self.total

    def add_and_fail(self, number: int) -> NoReturn:
        self.total += number
        raise ValueError("after it has changed the object")

    def up_to(self, end: int) -> Iterator[int]:
        for _ in range(end):
            self.total += 1
            yield self.total
