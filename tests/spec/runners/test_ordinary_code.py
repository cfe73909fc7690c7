# SPDX-License-Identifier: Apache-2.0
"""Ordinary code of a script: what it defines travels as its functions do, and calls are made as in Python."""

from __future__ import annotations

import functools
import importlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from flamepy import Runner
from flamepy.engine.api import Engine
from flamepy.front_ends import view_of

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

    class Pair(typing.NamedTuple):
        x: int
        y: str = "y"
        def both(self): return [self.x, self.y]

    class Further(Pair):
        __slots__ = ()

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
            for pair in Pair(1), Further(2):
                check("named", (type(service(pair).get()), service(pair).get().both()) == (type(pair), [pair.x, "y"]))
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
            kept, MISSING = MISSING, "another"
            check("another of its name", type(service(kept).get()) is _Missing and MISSING == "another")
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


class OnlyIf:
    """A method of those objects that a check accepts, as scikit-learn has them."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        wrapper: Any = self
        functools.update_wrapper(wrapper, function)

    def __get__(self, owner: Any, cls: type) -> Any:
        if owner is None:
            return lambda *args: self.function(*args)
        if not owner.is_ready:
            raise AttributeError(f"this {cls.__name__} has no {self.function.__name__}: fit it first")
        return self.function.__get__(owner, cls)


class Both:
    """A method of the class and of its objects alike."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, owner: Any, cls: type) -> Any:
        return lambda *args: self.function(owner or cls, *args)


class Lazy:
    """A property of somebody's own: it runs for objects only."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, owner: Any, cls: type) -> Any:
        return self if owner is None else self.function(owner)


class OfClass:
    """A property of the class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __get__(self, owner: Any, cls: type) -> Any:
        return self.function(cls)


class Model:
    is_ready = False

    def fit(self) -> None:
        self.is_ready = True

    @OnlyIf
    def predict(self, number: int) -> int:
        return number + 1

    @OnlyIf
    def steps(self, number: int) -> Iterator[int]:
        yield from range(number)

    @Both
    def measure(self: Any, number: int) -> int:
        return number

    @Lazy
    def coefficient(self) -> int:
        raise AssertionError("no property may run")

    @OfClass
    def label(cls: Any) -> str:
        return str(cls.__name__)

    @functools.cached_property
    def cached(self) -> Callable[..., int]:
        raise AssertionError("no property may run")


class Delegates:
    size = 3

    def __init__(self, inner: Any) -> None:
        self.__dict__["inner"] = inner

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.inner, name)

    @property
    def length(self) -> int:
        raise AssertionError("no property may run")


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


def test_methods_behind_descriptors_can_be_called(runner: Runner) -> None:
    model = runner.service(Model())
    assert sorted(view_of(model).methods) == ["fit", "measure", "predict", "steps"]
    assert model.measure(4).get(BOUND_S) == 4
    with pytest.raises(AttributeError, match="this Model has no predict: fit it first"):
        model.predict(1).get(BOUND_S)
    model.fit().get(BOUND_S)
    assert model.predict(1).get(BOUND_S) == 2
    assert [part.get(BOUND_S) for part in model.steps(3)] == [0, 1, 2]
    for data in ("coefficient", "label", "cached", "is_ready"):
        with pytest.raises(AttributeError, match="no public method"):
            getattr(model, data)


def test_an_object_may_decide_by_itself_what_it_has(runner: Runner) -> None:
    service = runner.service(Delegates(["a", "b", "a"]))
    assert service.count("a").get(BOUND_S) == 2
    service.append("a").get(BOUND_S)
    assert service.count("a").get(BOUND_S) == 3
    with pytest.raises(AttributeError, match="'list' object has no attribute 'cuont'"):
        service.cuont("a").get(BOUND_S)
    for data in ("size", "length", "_private"):
        assert not hasattr(service, data)
    assert runner.service(passed_on)(service).get(BOUND_S) == 3


def passed_on(service: Any) -> int:
    return int(service.count("a").get(BOUND_S))


@pytest.mark.uplink
def test_what_goes_by_value_is_used_without_its_module(
    engine: Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "beside.py").write_text(
        """
import sys
class Counter:
    count = 0
    def add(self):
        self.count += 1
        return self.count
    def itself(self):
        return self
    def is_imported(self):
        return "beside" in sys.modules
"""
    )
    monkeypatch.syspath_prepend(str(project))
    beside = importlib.import_module("beside")
    cloudpickle.register_pickle_by_value(beside)
    try:
        with Runner("by-value") as runner:
            counter = runner.service(beside.Counter)
            assert [counter.add().get(BOUND_S), counter.add().get(BOUND_S)] == [1, 2]
            assert counter.itself().get(BOUND_S).count == 2
            assert not counter.is_imported().get(BOUND_S)
    finally:
        cloudpickle.unregister_pickle_by_value(beside)
        del sys.modules["beside"]
