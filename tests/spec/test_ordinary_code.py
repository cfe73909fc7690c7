# SPDX-License-Identifier: Apache-2.0
"""Ordinary code of a script: what it defines travels as its functions do, and calls are made as in Python."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flamepy import Runner

BOUND_S = 60.0
SCRIPT = textwrap.dedent(
    '''
    """Each line that is printed is one that is wrong."""
    import dataclasses, functools, sys, typing, weakref
    from flamepy import Runner

    T = typing.TypeVar("T")

    @dataclasses.dataclass(slots=True)
    class Point:
        x: int = 1

    @dataclasses.dataclass(slots=True, frozen=True)
    class Fixed:
        x: int = 1

    class Plain:
        __slots__ = "a"
        def __init__(self): self.a = 1

    class Child(Plain):
        __slots__ = ("__private", "unset", "__weakref__")
        def __init__(self):
            super().__init__()
            self.__private = 2
        def private(self): return self.__private

    class Documented:
        __slots__ = {"a": "what it is"}

    class Open(Child):
        """Has a dictionary again."""

    class Box(typing.Generic[T]):
        __slots__ = ("item",)
        def __init__(self, item: T): self.item = item

    class Refused(Exception):
        __slots__ = ("__reason",)
        def __init__(self, reason): self.__reason = reason
        def reason(self): return self.__reason

    class Counter:
        __slots__ = ("count",)
        def __init__(self): self.count = 0
        def add(self):
            self.count += 1
            return self.count

    @functools.lru_cache
    def table(x): return x * 2

    @functools.cache
    def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)

    @functools.lru_cache(maxsize=3, typed=True)
    def three(x): return x

    @functools.singledispatch
    def shown(x): return "anything"

    @shown.register
    def _(x: int): return "a number"

    UserId = typing.NewType("UserId", int)

    class _Missing:
        def __reduce__(self): return "MISSING"

    MISSING = _Missing()

    class Model:
        @functools.lru_cache
        def load(self): return 5
        @functools.cached_property
        def value(self): return 6
        @functools.singledispatchmethod
        def kind(self, x): return "anything"
        @kind.register
        def _(self, x: int): return "a number"
        def read(self): return self.value

    def same(x): return x
    def is_missing(x): return x is MISSING
    def user(x): return UserId(x)
    def uses(x): return table(x) + fib(x)
    def raises(): raise Refused("why")
    def local(x):
        @functools.cache
        def doubled(y): return 2 * y
        return doubled(x)
    def limits(): return three.cache_parameters()
    def made(): return [Point(3), {"c": Child()}]
    def lives(x): return weakref.ref(x)() is x

    def check(what, is_right):
        if not is_right:
            print(what)

    if __name__ == "__main__":
        with Runner("script") as rr:
            service = rr.service(same)
            for value in (Point(2), Fixed(2), [Point()], {Fixed(3): Point(4)}):
                check(value, service(value).get() == value)
            child, opened = service(Child()).get(), Open()
            check("child", (type(child), child.a, child.private(), hasattr(child, "unset")) == (Child, 1, 2, False))
            check("no dictionary", not hasattr(child, "__dict__") and Child.__slots__[0] == "__private")
            opened.more = 3
            check("open", service(opened).get().more == 3)
            check("unset", not hasattr(service(Documented()).get(), "a"))
            check("generic", service(Box[int](4)).get().item == 4)
            check("made there", rr.service(made)().get()[1]["c"].private() == 2)
            check("weakref", rr.service(lives)(Child()).get())
            counter = rr.service(Counter)
            check("state", [counter.add().get(), counter.add().get()] == [1, 2])
            error = rr.service(raises)().exception()
            check("error", isinstance(error, Refused) and error.reason() == "why")
            check("lru_cache", rr.service(table)(4).get() == 8)
            check("recursive", rr.service(fib)(30).get() == 832040)
            check("inside", rr.service(uses)(4).get() == 11)
            check("local", rr.service(local)(4).get() == 8)
            check("parameters", rr.service(limits)().get() == {"maxsize": 3, "typed": True})
            check("singledispatch", [rr.service(shown)(x).get() for x in (1, "a")] == ["a number", "anything"])
            model = rr.service(Model)
            check("method", model.load().get() == 5)
            check("cached_property", model.read().get() == 6)
            check("singledispatchmethod", [model.kind(x).get() for x in (1, "a")] == ["a number", "anything"])
            check("NewType", rr.service(user)(3).get() == 3)
            check("sentinel", rr.service(is_missing)(MISSING).get() and service(MISSING).get() is MISSING)
    '''
)


def describe(**attributes: Any) -> list[str]:
    return sorted(attributes)


def parts(**attributes: Any) -> Iterator[str]:
    yield from sorted(attributes)


class Store:
    def put(self, key: str, /, **labels: Any) -> list[str]:
        return [key, *sorted(labels)]

    def parts(self, /, **labels: Any) -> Iterator[str]:
        yield from sorted(labels)

    def __call__(self, /, **labels: Any) -> list[str]:
        return sorted(labels)


# all that a signature of ours takes
NAMES = ["self", "link", "method", "name", "args", "kwargs", "record", "service", "future", "function", "timeout"]


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    from flamepy.engine.current import shutdown

    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("project"))
    try:
        with Runner("ordinary") as opened:
            yield opened
    finally:
        shutdown()
        os.chdir(here)


def test_what_a_script_defines_travels_as_its_functions_do(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("", "", 0)


def test_any_name_can_be_a_keyword_of_a_call(runner: Runner) -> None:
    named: dict[str, Any] = dict.fromkeys(NAMES, 1)
    wanted = sorted(NAMES)
    store = runner.service(Store())
    assert runner.service(describe)(**named).get(BOUND_S) == wanted
    assert runner.service(functools.partial(describe, further=1))(**named).get(BOUND_S) == sorted([*NAMES, "further"])
    assert store.put("k", **named).get(BOUND_S) == ["k", *wanted]
    assert store(**named).get(BOUND_S) == wanted
    assert [part.get(BOUND_S) for part in runner.service(parts)(**named)] == wanted
    assert [part.get(BOUND_S) for part in store.parts(**named)] == wanted
