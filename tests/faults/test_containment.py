# SPDX-License-Identifier: Apache-2.0
"""An unexpected exception in any step of the engine's loop costs at most one call, and the engine goes on.

The exception comes from a trace function: at the entry of a function of the engine, or in the place of what it returns,
in whichever thread runs the loop. Which functions there are is found by running the same calls once without a fault.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any

import pytest

import flamepy
from flamepy import FlameError, Runner
from flamepy.engine import local
from flamepy.engine.current import current_engine, use_engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.local.loop import event_loop as loop_module
from tests.faults.going_on import Counter
from tests.signs import BOUND_S

ENGINE = os.path.dirname(local.__file__) + os.sep
ITERATIONS = {loop_module.Loop._run_iteration.__code__, loop_module.Loop._handle_inbox.__code__}
# Answers may be lost with these, so the loop gives up: all calls get the reason, and a new engine is started.
GIVES_UP = {"PipeReader.read", "Loop._read_results", "Loop._give_up"}


class Injected(Exception):
    pass


class Tracer:
    """Notes what the loop enters, and raises ``Injected`` once in the chosen place."""

    def __init__(self) -> None:
        self.entered: dict[CodeType, str] = {}
        self.is_noting = True
        self._target: tuple[CodeType | None, str] = None, ""

    def arm(self, code: CodeType, event: str) -> None:
        self._target = code, event

    def disarm(self) -> None:
        self._target = None, ""

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if not (code is self._target[0] or (self.is_noting and code.co_filename.startswith(ENGINE))):
            return None
        if code in ITERATIONS or not _is_in_the_loop(frame):
            return None
        if self.is_noting:
            self.entered.setdefault(code, _qualname(frame))
        self._at(code, "entry")
        return self._at_return if self._target == (code, "return") else None

    def _at_return(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "return":
            self._at(frame.f_code, "return")
        return self._at_return

    def _at(self, code: CodeType, event: str) -> None:
        if self._target == (code, event):
            self.disarm()
            raise Injected(event)


def _is_in_the_loop(frame: FrameType) -> bool:
    outer = frame.f_back
    while outer is not None:
        if outer.f_code in ITERATIONS:
            return True
        outer = outer.f_back
    return False


def _qualname(frame: FrameType) -> str:
    owner = frame.f_locals.get("self")
    name = frame.f_code.co_name
    return name if owner is None else f"{type(owner).__name__}.{name}"


@pytest.fixture(scope="module")
def tracer() -> Iterator[Tracer]:
    """Traces this thread, and those that are started from now on."""
    tracer = Tracer()
    previous = sys.gettrace(), threading.gettrace()
    sys.settrace(tracer)
    threading.settrace(tracer)
    yield tracer
    sys.settrace(previous[0])
    threading.settrace(previous[1])


def _double(value: Any) -> Any:
    return value * 2


def _end_the_worker() -> None:
    os._exit(3)


Made = list[tuple[flamepy.ObjectFuture, Any]]  # futures and what they should give; an exception type is a right error


class Calls:
    """The calls among which a fault happens, in parts: most steps of the loop are in the first and cheapest one."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._double = runner.service(_double)
        self._end = runner.service(_end_the_worker)

    def parts(self) -> list[Callable[[Made], None]]:
        return [self._plain, self._cancelled, self._stateful, self._of_a_worker_that_ends]

    def make(self, part: Callable[[Made], None]) -> list[FlameError]:
        """Make the calls of this part and some others, wait for all, and return the errors that are not right."""
        calls: Made = [(self._double(value), value * 2) for value in range(3)]
        failures = []
        try:
            part(calls)
        except FlameError as error:
            failures.append(error)
        for future, _ in calls:
            assert future.wait(BOUND_S), f"{future} never ends"
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


def _is_told(error: BaseException) -> bool:
    return "Injected" in str(error)


@contextmanager
def _engine() -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine(workers=2)
    try:
        with use_engine(engine):
            yield engine
            flamepy.shutdown()
    finally:
        engine.close()


def test_an_exception_in_any_step_of_the_loop_ends_at_most_one_call(
    project: None, nothing_is_left: None, tracer: Tracer, caplog: pytest.LogCaptureFixture
) -> None:
    with _engine() as engine, Runner("containment") as runner:
        calls = Calls(runner)
        steps: dict[CodeType, Callable[[Made], None]] = {}  # and the first part of the calls that takes it
        for part in calls.parts():
            for _ in range(3):
                assert calls.make(part) == []
            steps |= {code: part for code, name in tracer.entered.items() if code not in steps and name not in GIVES_UP}
        assert len(steps) > 50, "the loop is not what is traced"
        tracer.is_noting = False
        verdicts = {}
        for code, part in steps.items():
            for event in ("entry", "return"):
                tracer.arm(code, event)
                failures = calls.make(part)
                tracer.disarm()
                if len(failures) > 1 or not all(map(_is_told, failures)) or not engine.is_alive:
                    verdicts[f"{event} of {tracer.entered[code]}"] = failures
        assert verdicts == {}, "\n".join(
            f"{step}: {[repr(each) for each in failures]}" for step, failures in verdicts.items()
        )
        assert current_engine() is engine
        assert len(engine.workers()) <= 2
        caplog.clear()  # the records hold the frames of each exception, with the values in them
