# SPDX-License-Identifier: Apache-2.0
"""A worker's account of an exception becomes one that the caller can catch by either name."""

from __future__ import annotations

import asyncio
import copy
import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest

from flamepy.cache.blob import Blob
from flamepy.codec.pickling import encode
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.errors import CallCancelled, DependencyFailed, FlameError, FrameInfo, TaskFailed, WorkerLost
from flamepy.protocol.failure import Failure
from flamepy.runner.waiting.user_errors import error_of

FRAMES = (FrameInfo("<dynamic-code>", 3, "add", "Counter.add"),)


class Strict(Exception):
    """Cannot be made again from its ``args``, and has properties and attributes of its own."""

    def __new__(cls, code: int, *, hint: str) -> Strict:
        return super().__new__(cls)

    def __init__(self, code: int, *, hint: str) -> None:
        super().__init__(f"{code}: {hint}")
        self.code = code  # type: ignore[assignment, unused-ignore]
        self.hint = hint

    @property
    def message(self) -> str:
        return f"my own message, {self.hint}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _strict, (self.code, self.hint)


class Slotted(Exception):
    __slots__ = ("where",)
    where: str

    def __reduce__(self) -> tuple[Any, ...]:
        return _slotted, (self.where,)


def _strict(code: int, hint: str) -> Strict:
    return Strict(code, hint=hint)


def _slotted(where: str) -> Slotted:
    error = Slotted()
    error.where = where
    return error


def outcome_of(error: BaseException) -> Outcome:
    failure = Failure(
        type(error).__name__, str(error), FRAMES, "Traceback of the worker\nthe raising line\n", pickle.dumps(error)
    )
    return Outcome(TaskState.FAILED, failure=Blob.of(encode(failure)))


def raised(error: BaseException) -> Any:
    return error_of(outcome_of(error), "Counter.add")


@pytest.mark.parametrize(
    "original",
    [
        ValueError("no"), ValueError(), KeyError("k"), OSError(2, "gone", "/f"), FileNotFoundError(2, "gone"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"), ImportError("x", name="x"), SyntaxError("bad"),
        Strict(7, hint="h"), _slotted("here"), ArithmeticError(1, 2, 3),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_both_except_clauses_catch_it_and_the_original_is_the_cause(original: Exception) -> None:
    error = raised(original)
    assert isinstance(error, type(original))
    assert isinstance(error, TaskFailed)
    assert isinstance(error, FlameError)
    assert error.args == original.args
    assert type(error.__cause__) is type(original)
    assert error.flame_frames == FRAMES
    assert (str(error), repr(error)) == (str(original), repr(original))
    assert error.flame_call == "Counter.add"
    assert type(error).__name__ == type(original).__name__


def test_attributes_of_the_users_exception_are_there_however_they_are_kept() -> None:
    assert raised(OSError(2, "gone", "/f")).filename == "/f"
    assert raised(OSError(2, "gone", "/f")).errno == 2
    assert raised(_slotted("here")).where == "here"
    strict = raised(Strict(7, hint="h"))
    assert (strict.code, strict.hint, strict.message) == (7, "h", "my own message, h")


@pytest.mark.parametrize("original", [ValueError("no"), OSError(2, "gone"), Strict(7, hint="h")])
def test_the_error_survives_pickling_and_copying_with_everything(original: Exception) -> None:
    error = raised(original)
    for again in (pickle.loads(pickle.dumps(error)), cloudpickle.loads(cloudpickle.dumps(error)), copy.copy(error)):
        assert isinstance(again, type(original))
        assert isinstance(again, TaskFailed)
        assert (str(again), repr(again), again.args) == (str(error), repr(error), error.args)
        assert again.flame_call == "Counter.add"
        assert again.flame_frames == FRAMES
        assert again.flame_traceback == error.flame_traceback
        assert type(again.__cause__) is type(original)


def test_an_error_that_crosses_a_second_border_keeps_its_type() -> None:
    twice = error_of(outcome_of(raised(ValueError("deep"))), "outer")
    assert isinstance(twice, ValueError)
    assert (str(twice), twice.args) == ("deep", ("deep",))
    assert isinstance(twice, TaskFailed)
    assert twice.flame_call == "outer"
    assert isinstance(twice.__cause__, TaskFailed)
    assert twice.__cause__.flame_call == "Counter.add"


def test_a_lost_worker_inside_a_call_is_still_a_lost_worker_outside() -> None:
    assert isinstance(raised(WorkerLost("inner", 12, -9)), WorkerLost)


@pytest.mark.parametrize(
    "original",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        StopIteration(),
        CallCancelled("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_would_end_the_caller_becomes_a_plain_error(original: BaseException) -> None:
    error = raised(original)
    assert type(error) is TaskFailed
    assert type(original).__name__ in str(error)


def test_a_stop_iteration_inside_a_call_does_not_silently_end_the_callers_loop() -> None:
    class Results(Iterator[int]):
        def __next__(self) -> int:
            raise raised(StopIteration("end"))

    with pytest.raises(TaskFailed):
        list(Results())


def test_an_exception_that_could_not_travel_is_told_in_words() -> None:
    failure = Failure("mylib.Broken", "no luck", FRAMES, "Traceback of the worker\n", None, "it holds a lock")
    error = error_of(Outcome(TaskState.FAILED, failure=Blob.of(encode(failure))), "f")
    assert type(error) is TaskFailed
    assert str(error) == "f raised mylib.Broken: no luck (the exception itself could not travel: it holds a lock)"
    assert error.flame_frames == FRAMES


def test_bytes_that_do_not_unpickle_here_are_told_in_words() -> None:
    failure = Failure("Odd", "m", (), "", b"cno_such_module\nthing\n.")
    error = error_of(Outcome(TaskState.FAILED, failure=Blob.of(encode(failure))), "f")
    assert type(error) is TaskFailed
    assert "no_such_module" in str(error)


def test_a_plain_traceback_shows_the_workers_traceback_exactly_once() -> None:
    shown = "".join(traceback.format_exception(raised(ValueError("no"))))
    assert shown.count("the raising line") == 1
    assert shown.rstrip().endswith("ValueError: no")
    assert "in the call of Counter.add, on a worker" in shown


def test_a_call_that_never_ran_has_the_first_failure_as_its_cause() -> None:
    first = outcome_of(ValueError("first"))
    middle = Outcome(TaskState.FAILED, failed_dependency=first)
    error = error_of(Outcome(TaskState.FAILED, failed_dependency=middle), "last")
    assert type(error) is DependencyFailed
    assert isinstance(error.__cause__, ValueError)
    assert "first" in str(error)
    assert "last did not run" in str(error)


def test_the_frames_of_an_error_travel_with_it_and_are_none_where_nothing_ran() -> None:
    assert TaskFailed("f", "ValueError", "too small").flame_frames == ()
    frames = (FrameInfo("cell", 2, "f", "f", "1 / 0"),)
    failure = Failure("mylib.Broken", "it is", frames, "Traceback", None, "it cannot travel")
    error = error_of(Outcome(TaskState.FAILED, failure=Blob.of(encode(failure))), "f")
    assert isinstance(error, TaskFailed)
    assert pickle.loads(pickle.dumps(error)).flame_frames == frames


def test_each_reader_gets_an_error_of_its_own() -> None:
    outcome = Outcome(TaskState.FAILED, error=WorkerLost("f", 12, -9))
    one, other = error_of(outcome, "f"), error_of(outcome, "f")
    assert one is not other
    assert isinstance(one, WorkerLost)
    assert str(one) == str(other) == str(outcome.error)


def test_a_cancelled_call_says_so() -> None:
    assert isinstance(error_of(Outcome(TaskState.CANCELLED), "f"), CallCancelled)
