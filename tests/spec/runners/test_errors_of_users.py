# SPDX-License-Identifier: Apache-2.0
"""An error of user code is the user's: type, text, args, attributes, notes and causes, whatever it holds."""

from __future__ import annotations

import asyncio
import builtins
import dataclasses
import os
import pickle
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

import flamepy
from flamepy import FlameError, NotPicklable, ObjectFuture, Runner, TaskFailed
from flamepy.codec.exceptions import annotate
from flamepy.runner import RunnerService

BOUND_S = 60.0
BIG, SMALL = 100_000, 3


class Diverged(ValueError):
    """Its constructor takes more than its ``args``."""

    def __init__(self, message: str, *, iterate: Any) -> None:
        super().__init__(message)
        self.iterate = iterate


class NotThere(Exception):
    code = 404
    message = "not there"
    detail = "the page"

    def status(self) -> str:
        return f"HTTP {self.code}"

    @classmethod
    def call(cls) -> str:
        return cls.__name__

    @staticmethod
    def frames() -> int:
        return 24

    @property
    def type_name(self) -> str:
        return "of a property"


class OfAnother(NotThere):
    """Inherits all of it."""


class Worded(KeyError):
    def __str__(self) -> str:
        return f"in my own words: {super().__str__()}"


class Slotted(Exception):
    __slots__ = ("_Slotted__private", "unset", "where")

    def __init__(self, where: str) -> None:
        self.where = where
        self.__private = where.upper()

    def private(self) -> str:
        return self.__private


@dataclasses.dataclass(frozen=True)
class Frozen(Exception):
    reason: str
    number: int = 1


class EndsWhereItIsRead(Exception):
    """Its unpickling ends the process that reads it, unless that is a worker."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _exit_here, ()


class EndsEverywhere(Exception):
    def __reduce__(self) -> tuple[Any, ...]:
        return sys.exit, (3,)


def _exit_here() -> Exception:
    if "FLAME_WORKER_ID" not in os.environ:
        sys.exit(3)
    return EndsWhereItIsRead()


def made(kind: str, size: int) -> Exception:
    data = np.arange(size)
    if kind == "attribute":
        error: Exception = ArithmeticError("no convergence")
        error.data = data  # type: ignore[attr-defined]
        return error
    if kind == "argument":
        return RuntimeError("no convergence", data)
    if kind == "keyword":
        return Diverged("no convergence", iterate=data)
    if kind == "bytes":
        return LookupError(bytes(8 * size))
    assert kind == "group"
    group: type[Exception] = getattr(builtins, "ExceptionGroup")  # noqa: B009 - Python 3.10 has none
    return group("several", [made("keyword", size), ValueError("small")])


def raise_made(kind: str, size: int) -> NoReturn:
    raise made(kind, size)


ORIGINALS: dict[str, Callable[[], Exception]] = {
    "text": lambda: ValueError("no"),
    "nothing": ValueError,
    "several arguments": lambda: ValueError("a", 2, None),
    "KeyError": lambda: KeyError("k"),
    "OSError": lambda: OSError(2, "gone", "/f"),
    "OSError without a file": lambda: OSError(2, "gone"),
    "OSError with two files": lambda: PermissionError(13, "no", "/a", None, "/b"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
    "ImportError": lambda: ImportError("x", name="y"),
    "AttributeError": lambda: AttributeError("x", name="y", obj=iter(())),
    "SyntaxError": lambda: SyntaxError("bad", ("f.py", 2, 3, "a b")),
    "class attributes": lambda: NotThere("x"),
    "inherited class attributes": lambda: OfAnother("x"),
    "own text": lambda: Worded("k"),
    "slots": lambda: Slotted("here"),
    "frozen": lambda: Frozen("why", 2),
    "constructor of its own": lambda: Diverged("d", iterate=1),
}


def raise_original(name: str) -> NoReturn:
    error = ORIGINALS[name]()
    raise error


def raise_from(size: int) -> NoReturn:
    try:
        raise_made("keyword", size)
    except ValueError as error:
        raise RuntimeError("the outer one") from error


def raise_while_handling() -> NoReturn:
    try:
        raise_made("attribute", SMALL)
    except ArithmeticError:
        raise RuntimeError("the outer one")  # noqa: B904 - that is what the test is about


def raise_from_what_cannot_travel() -> NoReturn:
    cause = ValueError("holds an iterator")
    cause.held = (number for number in range(1))  # type: ignore[attr-defined]
    raise RuntimeError("the outer one") from cause


def raise_with_notes() -> NoReturn:
    error = NotThere("noted")
    annotate(error, "try 2")
    raise error


def through_another(service: RunnerService, kind: str, size: int) -> Any:
    try:
        return service(kind, size).get()
    except Exception as error:
        annotate(error, "seen on the way")
        raise


def raise_ending(is_everywhere: bool) -> NoReturn:
    raise EndsEverywhere if is_everywhere else EndsWhereItIsRead


def echo(value: Any) -> Any:
    return value


class Fussy:
    """A value that only workers can read."""

    def __init__(self, how: str) -> None:
        self.how = how

    def __setstate__(self, state: dict[str, Any]) -> None:
        if "FLAME_WORKER_ID" not in os.environ:
            if state["how"] == "exits":
                sys.exit(4)
            raise ValueError("no connection")


def fussy(how: str) -> Fussy:
    return Fussy(how)


def fussy_parts(how: str) -> Generator[Any, None, Fussy]:
    yield Fussy(how)
    return Fussy(how)


def kind_of(value: Any) -> str:
    return type(value).__name__


async def _awaited(future: ObjectFuture) -> Any:
    return await future


def _value_of_stream(runner: Runner, how: str) -> Any:
    stream = runner.service(fussy_parts)(how)
    assert len(list(stream)) == 1
    return stream.value


# every way to a value: what the error says it is of, and the way
WAYS: dict[str, tuple[str, Callable[[Runner, str], Any]]] = {
    "get": ("fussy", lambda runner, how: runner.service(fussy)(how).get(BOUND_S)),
    "result": ("fussy", lambda runner, how: runner.service(fussy)(how).result(BOUND_S)),
    "Runner.get": ("fussy", lambda runner, how: runner.get([runner.service(fussy)(how)])),
    "await": ("fussy", lambda runner, how: asyncio.run(_awaited(runner.service(fussy)(how)))),
    "as_concurrent": ("fussy", lambda runner, how: runner.service(fussy)(how).as_concurrent().result(BOUND_S)),
    "part": ("fussy_parts", lambda runner, how: next(runner.service(fussy_parts)(how)).get(BOUND_S)),
    "end of a stream": ("fussy_parts", _value_of_stream),
    "object cache": ("the object errors", lambda runner, how: flamepy.get_object(runner.service(fussy)(how).ref())),
}


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    from flamepy.engine.current import shutdown

    here = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("project"))
    try:
        with Runner("errors") as opened:
            yield opened
    finally:
        shutdown()
        os.chdir(here)


def error_of(runner: Runner, function: Any, *args: Any) -> Any:
    error = runner.service(function)(*args).exception(BOUND_S)
    assert isinstance(error, TaskFailed)
    return error


@pytest.mark.parametrize("size", [SMALL, BIG])
@pytest.mark.parametrize("kind", ["attribute", "argument", "keyword", "bytes"])
def test_type_and_data_arrive_whatever_the_size(runner: Runner, kind: str, size: int) -> None:
    error, original = error_of(runner, raise_made, kind, size), made(kind, size)
    assert isinstance(error, type(original))
    assert (str(error), repr(error)) == (str(original), repr(original))
    for held, wanted in [*zip(error.args, original.args, strict=True), *_of_attributes(error, original)]:
        assert np.array_equal(held, wanted)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
@pytest.mark.parametrize("size", [SMALL, BIG])
def test_members_of_a_group_arrive_with_their_data(runner: Runner, size: int) -> None:
    error = error_of(runner, raise_made, "group", size)
    found, rest = error.split(Diverged)
    assert len(found.exceptions[0].iterate) == size
    assert [str(each) for each in rest.exceptions] == ["small"]


@pytest.mark.parametrize("name", ORIGINALS)
def test_everything_about_it_is_the_users(runner: Runner, name: str) -> None:
    error, original = error_of(runner, raise_original, name), ORIGINALS[name]()
    assert isinstance(error, type(original))
    assert (str(error), repr(error), error.args) == (str(original), repr(original), original.args)
    mine = {name: value for name, value in vars(error).items() if not name.startswith("flame_")}
    assert mine == vars(original)
    for each in ("errno", "filename", "filename2", "lineno", "offset", "name", "reason", "where", "iterate"):
        assert getattr(error, each, None) == getattr(original, each, None)
    for each in ("code", "message", "detail", "type_name"):
        assert getattr(error, each, "none") == getattr(original, each, "none")


def test_methods_of_its_class_can_be_called(runner: Runner) -> None:
    error = error_of(runner, raise_original, "inherited class attributes")
    assert (error.status(), error.call(), error.frames()) == ("HTTP 404", "OfAnother", 24)
    slotted = error_of(runner, raise_original, "slots")
    assert slotted.private() == "HERE"
    assert not hasattr(slotted, "unset")
    again = type(error)("another text")
    assert type(again) is type(error)
    assert (str(again), again.flame_call) == ("another text", "")


@pytest.mark.cluster
def test_what_it_was_raised_from_is_its_cause(runner: Runner) -> None:
    error = error_of(runner, raise_from, BIG)
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__cause__, Diverged)
    assert len(error.__cause__.iterate) == BIG
    handled = error_of(runner, raise_while_handling)
    assert isinstance(handled.__context__, ArithmeticError)
    lonely = error_of(runner, raise_from_what_cannot_travel)
    assert type(lonely.__cause__) is RuntimeError
    assert "holds an iterator" in lonely.flame_traceback


def test_its_notes_are_the_users(runner: Runner) -> None:
    error = error_of(runner, raise_with_notes)
    assert error.__notes__ == ["try 2"]


@pytest.mark.parametrize("size", [SMALL, BIG])
def test_it_is_the_same_behind_two_borders_and_pickled_again(runner: Runner, size: int) -> None:
    inner = runner.service(raise_made)
    error = error_of(runner, through_another, inner, "keyword", size)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert isinstance(each, Diverged)
        assert isinstance(each, TaskFailed)
        assert (str(each), each.args, len(each.iterate)) == ("no convergence", ("no convergence",), size)
        assert each.__notes__ == ["seen on the way"]  # type: ignore[attr-defined]
        assert each.flame_call == "through_another"
        assert isinstance(each.__cause__, Diverged)


@pytest.mark.parametrize("is_everywhere", [True, False])
def test_one_that_ends_whoever_reads_it_costs_one_call(runner: Runner, is_everywhere: bool) -> None:
    error = error_of(runner, raise_ending, is_everywhere)
    assert type(error) is TaskFailed
    assert "SystemExit: 3" in str(error)
    assert "Ends" in error.flame_type_name
    assert runner.service(echo)("still here").get(BOUND_S) == "still here"


@pytest.mark.parametrize("how", ["raises", "exits"])
@pytest.mark.parametrize("way", WAYS)
def test_a_value_that_cannot_be_read_here_names_what_it_is_of(runner: Runner, way: str, how: str) -> None:
    whose, read = WAYS[way]
    with pytest.raises(NotPicklable, match="cannot be read in this process") as caught:
        read(runner, how)
    assert whose in str(caught.value)
    assert "__setstate__" in str(caught.value)
    assert isinstance(caught.value.__cause__, SystemExit if how == "exits" else ValueError)
    assert runner.service(kind_of)(runner.service(fussy)(how)).get(BOUND_S) == "Fussy"


def test_a_debugger_in_a_call_says_that_it_finds_no_terminal(runner: Runner) -> None:
    for how in (_stop_at_a_breakpoint, _set_trace, _quit):
        error = error_of(runner, how)
        assert type(error) is TaskFailed
        assert "a worker has no terminal" in str(error)
        assert f"{how.__name__}.local(...)" in str(error)
        assert isinstance(error, FlameError)


def _stop_at_a_breakpoint() -> int:
    breakpoint()  # noqa: T100 - that is what the test is about
    return 1


def _set_trace() -> int:
    import pdb  # noqa: T100

    pdb.set_trace()  # noqa: T100
    return 1


def _quit() -> NoReturn:
    import bdb

    raise bdb.BdbQuit


def _of_attributes(error: BaseException, original: BaseException) -> list[tuple[Any, Any]]:
    return [(getattr(error, name), value) for name, value in vars(original).items()]
