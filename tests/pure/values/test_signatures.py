# SPDX-License-Identifier: Apache-2.0
"""Wrong arguments are found without running anything, and told as Python tells them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from flamepy.runner.service.signatures import check_of, check_of_method, described, signature_of_method


def plain(a: int, b: int = 2, *, c: int, d: int = 3) -> None: ...
def positional(a: int, /, b: int) -> None: ...
def rest(a: int, *more: int, **named: int) -> None: ...
def nothing() -> None: ...


def anything(*args: object, **kwargs: object) -> None: ...


@functools.wraps(positional)
def wrapper(*args: Any, **kwargs: Any) -> None:
    """Looks like another function, and takes whatever it likes."""


@functools.lru_cache
def cached(a: int) -> None: ...


def parts(a: int) -> Iterator[int]:
    yield a


class Thing:
    def method(self, x: int, y: int = 1) -> None: ...
    @staticmethod
    def static(x: int) -> None: ...
    @classmethod
    def of_class(cls, x: int) -> None: ...

    given = functools.partialmethod(method, 5)

    @functools.lru_cache  # noqa: B019 - no object of it lives long
    def cached(self, x: int) -> None: ...


FUNCTIONS = [
    plain, positional, rest, nothing, cached, parts, functools.partial(plain, 1, c=2), Thing().method, Thing.of_class,
    functools.partial(Thing().method, 1),
]  # fmt: skip
ARGUMENTS: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((), {}), ((1,), {}), ((1, 2), {}), ((1, 2, 3), {}), ((1, 2, 3, 4), {}), ((1,), {"c": 2}), ((), {"a": 1, "c": 1}),
    ((1,), {"a": 1}), ((1,), {"nope": 1}), ((), {"a": 1, "b": 2}), ((1,), {"self": 1}), ((), {"x": 1}),
    ((1,), {"y": 1}),
]  # fmt: skip


def said(call: Callable[..., object], args: tuple[Any, ...], kwargs: dict[str, Any]) -> str:
    try:
        call(*args, **kwargs)
    except TypeError as error:
        return str(error)
    return "it is taken"


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda each: getattr(each, "__qualname__", "partial"))
def test_what_is_wrong_is_told_in_the_words_of_python(function: Callable[..., object]) -> None:
    check = check_of(function)
    assert check is not None
    told = [said(check, *each) for each in ARGUMENTS]
    assert told == [said(function, *each) for each in ARGUMENTS]
    assert len(set(told)) > 1


@pytest.mark.parametrize("name", ["method", "static", "of_class", "given", "cached"])
def test_methods_count_as_python_counts(name: str) -> None:
    check = check_of_method(Thing, name)
    assert check is not None
    assert [said(check, *each) for each in ARGUMENTS] == [said(getattr(Thing(), name), *each) for each in ARGUMENTS]


@pytest.mark.parametrize("function", [anything, wrapper, print, len, functools.partial(print), Thing])
def test_what_takes_anything_or_tells_no_signature_is_not_looked_at(function: Callable[..., object]) -> None:
    assert check_of(function) is None


def test_what_an_object_may_put_in_the_place_of_a_method_is_not_looked_at() -> None:
    class Hides:
        def __init__(self) -> None:
            vars(self)["run"] = functools.partial(self.run, 1)

        def run(self, x: int) -> None: ...
        def other(self, x: int) -> None: ...

    class Answers:
        def __getattribute__(self, name: str) -> object:
            return print

        def run(self, x: int) -> None: ...

    assert check_of_method(Hides, "run") is None
    assert check_of_method(Hides, "other") is not None
    assert check_of_method(Answers, "run") is None
    assert check_of_method(Thing, "not there") is None


def test_the_signature_of_a_method_is_without_self() -> None:
    assert str(signature_of_method(Thing, "method")) == "(x: 'int', y: 'int' = 1) -> 'None'"
    assert str(signature_of_method(Thing, "static")) == str(signature_of_method(Thing, "of_class"))
    assert signature_of_method(Thing, "not there") is None


def test_a_described_object_has_the_docstring_of_what_it_stands_for() -> None:
    cls = described(Thing, "Words.")
    assert (cls().__doc__, cls.__name__, isinstance(cls(), Thing)) == ("Words.", "Thing", True)
    assert inspect.getdoc(described(Thing, None)()) is None
