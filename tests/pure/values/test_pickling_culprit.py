# SPDX-License-Identifier: Apache-2.0
"""The error for a value that cannot travel points at the part that is to blame."""

from __future__ import annotations

import functools
import threading
from typing import Any

import pytest

from flamepy.codec.culprit import MAX_DEPTH, find_culprit
from flamepy.runner.types import RunnerContext, RunnerRequest

LOCK = threading.Lock()


def make_function(source: str, **variables: object) -> Any:
    """A function such as a notebook's cell defines: its module has no file, so it travels by value."""
    scope: dict[str, object] = {"__name__": "__main__", **variables}
    exec(source, scope)
    return scope["f"]


class Client:
    def __init__(self, conn: object) -> None:
        self.name = "x"
        self.conn = conn

    def greet(self) -> str:
        return self.name


class Slotted:
    __slots__ = ("conn",)

    def __init__(self, conn: object) -> None:
        self.conn = conn


class Careful(Client):
    def __getstate__(self) -> dict[str, object]:
        return {"name": self.name}


class Node:
    """Points back to its owner, as trees do."""

    def __init__(self, owner: object) -> None:
        self.owner = owner


def tree() -> Client:
    root = Client(None)
    root.name = Node(root)  # type: ignore[assignment] # the first attribute leads back to the root
    root.conn = LOCK
    return root


def capturing(value: object) -> Any:
    scope: dict[str, Any] = {"__name__": "__main__"}
    exec("def outer(conn):\n def f(): return conn\n return f", scope)
    return scope["outer"](value)


CASES = [
    pytest.param(LOCK, "the value itself (a _thread.lock)", id="bare"),
    pytest.param((letter for letter in "a"), "the value itself (a generator)", id="generator"),
    pytest.param([1, (2, LOCK)], "item 1 (a _thread.lock) of a tuple, in item 1", id="nested containers"),
    pytest.param({"a": {"b": LOCK}}, "item 'b' (a _thread.lock) of a dict, in item 'a'", id="nested mappings"),
    pytest.param({LOCK: 1}, "key a _thread.lock (a _thread.lock) of a dict", id="key"),
    pytest.param(Client(LOCK), "attribute .conn (a _thread.lock) of Client", id="attribute"),
    pytest.param(Slotted(LOCK), "attribute .conn (a _thread.lock) of Slotted", id="slot"),
    pytest.param(tree(), "attribute .conn (a _thread.lock) of Client", id="cycle back to the owner"),
    pytest.param([Careful(LOCK), LOCK], "item 1 (a _thread.lock) of a list", id="state without it is fine"),
    pytest.param(
        make_function("def f(): return lock", lock=LOCK), "global 'lock' (a _thread.lock) of function f", id="global"
    ),
    pytest.param(
        make_function("def f(): return [lock for _ in ()] + list(lambda: lock)", lock=LOCK),
        "global 'lock' (a _thread.lock) of function f",
        id="global of an inner function",
    ),
    pytest.param(
        make_function("def f(x): return x.lock, other", lock=1, other=LOCK),
        "global 'other' (a _thread.lock) of function f",
        id="an attribute is no global",
    ),
    pytest.param(
        make_function("def f(a, b=1, c=lock): pass", lock=LOCK),
        "default of parameter 'c' (a _thread.lock) of function f",
        id="default",
    ),
    pytest.param(
        make_function("def f(*, c=lock): pass", lock=LOCK),
        "default of parameter 'c' (a _thread.lock) of function f",
        id="keyword default",
    ),
    pytest.param(capturing(LOCK), "captured variable 'conn' (a _thread.lock) of function f", id="closure"),
    pytest.param(
        functools.partial(print, LOCK, file=None), "argument 1 (a _thread.lock)", id="argument of a partial function"
    ),
    pytest.param(Client(LOCK).greet, "attribute .conn (a _thread.lock) of Client, in the object", id="bound method"),
    pytest.param(RunnerRequest("add", (1, LOCK)), "argument 2 (a _thread.lock)", id="argument of a call"),
    pytest.param(RunnerRequest("add", None, {"x": LOCK}), "argument 'x' (a _thread.lock)", id="keyword of a call"),
    pytest.param(
        RunnerRequest("add", ([LOCK],)), "item 0 (a _thread.lock) of a list, in argument 1", id="inside an argument"
    ),
    pytest.param(
        RunnerContext(make_function("def f(): return lock", lock=LOCK)),
        "global 'lock' (a _thread.lock) of function f",
        id="function of a service",
    ),
    pytest.param(RunnerContext(Client(LOCK)), "attribute .conn (a _thread.lock) of Client", id="object of a service"),
]


@pytest.mark.parametrize(("value", "expected"), CASES)
def test_the_culprit_is_named(value: object, expected: str) -> None:
    assert find_culprit(value) == expected


def test_a_class_of_the_notebook_is_searched_through() -> None:
    scope: dict[str, Any] = {"__name__": "__main__", "lock": LOCK}
    exec("class Model:\n def fit(self): return lock", scope)
    assert find_culprit(scope["Model"]()) == (
        "global 'lock' (a _thread.lock) of function Model.fit, in attribute .fit, in its class"
    )


def test_one_bad_item_among_many_good_ones_is_found() -> None:
    items: list[object] = [0] * 50_000
    items[33_333] = LOCK
    assert find_culprit(items) == "item 33333 (a _thread.lock) of a list"


def test_the_search_ends_on_a_path_without_end() -> None:
    class Endless:
        def __reduce__(self) -> Any:
            return Endless, (), {"next": Endless(), "lock": LOCK}

    assert find_culprit(Endless()).count("attribute .next") == MAX_DEPTH
