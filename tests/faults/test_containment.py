# SPDX-License-Identifier: Apache-2.0
"""An unexpected exception in any step of the engine's loop costs at most one call, and the engine goes on.

The exception comes from a trace function: at the entry of a function of the engine, where a lack of memory or a deep
recursion gives one, in whichever thread runs the loop. Which functions there are is found by running the same calls
once without a fault.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import Any

import pytest

import flamepy
from flamepy import FlameError, Runner
from flamepy.engine.current import current_engine, use_engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.local.loop.reports import Reports, ResultReader
from tests.faults.going_on import Counter
from tests.faults.injection import Tracer
from tests.signs import BOUND_S, reached

# Answers may be lost with these, so the loop gives up: all calls get the reason, and a new engine is started.
GIVES_UP = {"PipeReader.read", "ResultReader.read", "Loop._give_up"}
FAULTS_OF_AN_ENGINE = 60  # it gives up where they come as fast as if one repeated itself


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    """Traces this thread, and those that are started from now on."""
    tracer = Tracer()
    previous = sys.gettrace(), threading.gettrace()
    tracer.trace_here()
    threading.settrace(tracer)
    yield tracer
    sys.settrace(previous[0])
    threading.settrace(previous[1])


def _double(value: Any) -> Any:
    return value * 2


def _end_the_worker() -> None:
    os._exit(3)


Made = list[tuple[flamepy.ObjectFuture, Any]]  # futures and what they should give; an exception type is a right error
Part = Callable[["Calls", Made], None]


class Calls:
    """The calls among which a fault happens, in parts: most steps of the loop are in the first and cheapest one."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._double = runner.service(_double)
        self._end = runner.service(_end_the_worker)
        self.fault = "no fault"

    @classmethod
    def parts(cls) -> list[Part]:
        return [cls._plain, cls._cancelled, cls._stateful, cls._of_a_worker_that_ends]

    def trace(self, tracer: Tracer) -> None:
        """In this thread and in the engine's, which runs callbacks."""
        tracer.trace_here()
        is_traced = threading.Event()
        future = self._double(1)
        future.add_done_callback(tracer.trace_here)
        future.add_done_callback(lambda _: is_traced.set())
        assert is_traced.wait(BOUND_S)

    def make(self, part: Part) -> list[FlameError]:
        """Make the calls of this part and some others, wait for all, and return the errors that are not right."""
        calls: Made = [(self._double(value), value * 2) for value in range(3)]
        failures = []
        try:
            part(self, calls)
        except FlameError as error:
            failures.append(error)
        for future, _ in calls:
            assert future.wait(BOUND_S), f"{future} never ends after {self.fault}"
        failures += _failures(calls)
        # a call that takes the result of one that ended cannot run: that is the same end
        ended = {str(each) for each in failures}
        return [each for each in failures if not _follows(each, ended)]

    def _plain(self, calls: Made) -> None:
        first = self._double(1)
        calls += [(first, 2), (self._double(first), 4), (self._double(b"x" * 100_000), b"x" * 200_000)]

    def _cancelled(self, calls: Made) -> None:
        last = self._double(2)
        calls.append((last, flamepy.CallCancelled if last.cancel() else 4))

    def _stateful(self, calls: Made) -> None:
        counter = self._runner.service(Counter)
        calls += [(counter.add(), int) for _ in range(3)]
        self._runner.wait([future for future, _ in calls], BOUND_S)
        counter.close()

    def _of_a_worker_that_ends(self, calls: Made) -> None:
        calls.append((self._end(), flamepy.WorkerLost))


def _follows(error: FlameError, ended: set[str]) -> bool:
    """Did the call not run because of one that ended with one of these messages?"""
    cause = error.__cause__
    return isinstance(error, flamepy.DependencyFailed) and cause is not None and str(cause) in ended


def _failures(calls: Made) -> list[FlameError]:
    """The errors that are not right."""
    found = []
    for future, expected in calls:
        error = future.exception(0)
        if error is not None:
            if not (isinstance(expected, type) and isinstance(error, expected)):
                found.append(error)
        elif isinstance(expected, type):
            assert isinstance(future.get(0), expected)
        else:
            assert future.get(0) == expected
    return found


def _wait_or_touch(value: int, wait_for: Path | None = None, to_touch: Path | None = None) -> int:
    assert wait_for is None or reached(wait_for.exists)
    if to_touch is not None:
        to_touch.touch()
    return value


@pytest.mark.parametrize("event", ["entry", "return"])
@pytest.mark.parametrize("number_of_calls", [1, 2, 4])
def test_a_fault_in_taking_an_answer_loses_no_other_answer_that_was_read_with_it(
    number_of_calls: int,
    event: str,
    project: None,
    nothing_is_left: None,
    tracer: Tracer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tracer.is_noting = False
    go, have_begun = tmp_path / "go", tmp_path / "have-begun"
    were_read_together = []
    with _engine(workers=1) as engine, Runner("answers") as runner:
        service = runner.service(_wait_or_touch)
        for value in range(5):  # short calls are sent ahead
            assert service(value).get(BOUND_S) == value
        futures = [service(0, wait_for=go), *(service(value) for value in range(1, number_of_calls))]
        futures.append(service(number_of_calls, to_touch=have_begun))  # then the answers before it are in the pipe
        engine.workers()  # has all that was submitted sent
        tracer.pause(ResultReader.read.__code__, lambda: were_read_together.append(reached(have_begun.exists)))
        tracer.arm(Reports.take.__code__, event)
        go.touch()
        for future in futures:
            assert future.wait(BOUND_S), f"{future} never ends"
        tracer.disarm()
        assert were_read_together == [True]
        errors = [error for error in (each.exception(0) for each in futures) if error is not None]
        assert len(errors) <= 1
        assert all(map(_is_told, errors)), errors
        assert engine.is_alive
        assert service(4).get(BOUND_S) == 4
        caplog.clear()  # the records hold the frames of the exception, with the values in them


@pytest.mark.parametrize("event", ["entry", "return"])
def test_a_fault_in_taking_the_last_answer_ends_its_call(
    event: str, project: None, nothing_is_left: None, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    tracer.is_noting = False
    with _engine(workers=1), Runner("answers") as runner:
        double = runner.service(_double)
        assert double(1).get(BOUND_S) == 2
        tracer.arm(Reports.take.__code__, event)
        last = double(2)
        assert last.wait(BOUND_S), f"{last} never ends"
        tracer.disarm()
        assert _failures([(last, 4)]) == [] or _is_told(last.exception(0))
        assert double(3).get(BOUND_S) == 6
        caplog.clear()  # the records hold the frames of the exception, with the values in them


def _is_told(error: BaseException) -> bool:
    return "Injected" in str(error)


@contextmanager
def _engine(workers: int = 2) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(workers=workers)
    try:
        with use_engine(engine):
            yield engine
            flamepy.shutdown()
    finally:
        engine.close()


def _steps(calls: Calls, tracer: Tracer) -> dict[CodeType, tuple[str, list[Part]]]:
    """The functions that the loop enters, by name, each with the parts of the calls that have it do so repeatedly."""
    steps: dict[CodeType, tuple[str, list[Part]]] = {}
    for part in calls.parts():
        assert calls.make(part) == []
    for part in calls.parts():
        tracer.entered.clear()
        for _ in range(2):
            assert calls.make(part) == []
        for code, name in tracer.entered.items():
            if name not in GIVES_UP and not code.co_name.startswith("<"):
                steps.setdefault(code, (name, []))[1].append(part)
    tracer.is_noting = False
    return steps


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # what a function returned is lost
def test_an_exception_in_any_step_of_the_loop_ends_at_most_one_call(
    project: None, nothing_is_left: None, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    with _engine(), Runner("containment") as runner:
        steps = _steps(Calls(runner), tracer)
    assert len(steps) > 50, "the loop is not what is traced"
    faults = list(steps.items())
    verdicts: dict[str, list[FlameError]] = {}
    untried = []
    for begin in range(0, len(faults), FAULTS_OF_AN_ENGINE):
        with _engine() as engine, Runner("containment") as runner:
            calls = Calls(runner)
            for code, (name, parts) in faults[begin : begin + FAULTS_OF_AN_ENGINE]:
                was_raised = False
                calls.fault = name
                for part in parts * 2:
                    calls.trace(tracer)
                    tracer.arm(code, "entry")
                    failures = calls.make(part)
                    was_raised = tracer.disarm()
                    if len(failures) > 1 or not all(map(_is_told, failures)) or not engine.is_alive:
                        verdicts[calls.fault] = failures
                    if was_raised:
                        break
                if not was_raised:
                    untried.append(calls.fault)
                    assert reached(lambda: len([each for each in engine.workers() if each.session_id is None]) <= 2)
            assert current_engine() is engine
            runner.close()
            assert reached(lambda: len(engine.workers()) <= 2), engine.workers()
        caplog.clear()  # the records hold the frames of each exception, with the values in them
    assert verdicts == {}
    assert len(untried) < len(faults) / 4, untried  # some are taken only when time has passed
