# SPDX-License-Identifier: Apache-2.0
"""Every fault reaches the caller as one clear error, and the next call works: a table ordered by stage."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from tests.faults import bad_objects as bad

BOUND_S = 20.0

# function, argument, error class, words that its name or its message must contain
FAULTS = [
    pytest.param(bad.echo, bad.FailsWhenPickled(), flamepy.NotPicklable, "pickled", id="argument does not pickle"),
    pytest.param(bad.echo, threading.Lock(), flamepy.NotPicklable, "lock", id="argument is a lock"),
    pytest.param(bad.echo, bad.FailsWhenUnpickled(), flamepy.TaskFailed, "today", id="argument does not unpickle"),
    pytest.param(bad.echo, bad.EndsWorkerWhenUnpickled(), flamepy.WorkerLost, "code 5", id="worker ends while reading"),
    pytest.param(bad.raise_value_error, 1, ValueError, "no 1", id="user code raises"),
    pytest.param(bad.raise_empty, 1, ValueError, "ValueError", id="exception with an empty message"),
    pytest.param(bad.raise_unpicklable, 1, flamepy.TaskFailed, "holds a lock", id="exception does not pickle"),
    pytest.param(bad.raise_awkward, 1, bad.AwkwardError, "3: awkward", id="exception with a constructor of its own"),
    pytest.param(bad.leave, 1, flamepy.TaskFailed, "SystemExit", id="sys.exit"),
    pytest.param(bad.interrupt_itself, 1, flamepy.TaskFailed, "KeyboardInterrupt", id="KeyboardInterrupt in user code"),
    pytest.param(bad.recurse, 1, RecursionError, "recursion", id="endless recursion"),
    pytest.param(bad.use_up_memory, 1, MemoryError, "MemoryError", id="no memory"),
    pytest.param(bad.leave_at_once, 1, flamepy.WorkerLost, "exit code 7", id="os._exit"),
    pytest.param(bad.crash, 1, flamepy.WorkerLost, "SIGSEGV", id="segmentation fault"),
    pytest.param(bad.kill_itself, 1, flamepy.WorkerLost, "SIGKILL", id="SIGKILL"),
    pytest.param(bad.return_unpicklable, 1, flamepy.NotPicklable, "cannot be pickled", id="result does not pickle"),
    pytest.param(bad.return_deadly, 1, flamepy.WorkerLost, "exit code 6", id="worker ends while writing the result"),
]  # fmt: skip


@pytest.mark.uplink
@pytest.mark.parametrize(("function", "argument", "expected", "words"), FAULTS)
def test_every_fault_reaches_the_caller_and_the_next_call_works(
    engine: Engine, function: Any, argument: Any, expected: type[BaseException], words: str
) -> None:
    with Runner("faults") as runner:
        with pytest.raises(expected) as caught:
            runner.service(function)(argument).get(BOUND_S)
        assert isinstance(caught.value, flamepy.FlameError)
        assert words in f"{caught.value!r}: {caught.value}"
        assert runner.service(bad.echo)("still here").get(BOUND_S) == "still here"


def test_a_lost_worker_names_exit_call_and_cure(engine: Engine) -> None:
    with Runner("faults") as runner:
        error = runner.service(bad.leave_at_once)(1).exception(BOUND_S)
    assert isinstance(error, flamepy.WorkerLost)
    assert error.exit_code == 7
    assert error.pid > 0
    assert "leave_at_once" in str(error)
    assert str(error).endswith("raise an exception instead.")


class Steps:
    """A stateful object with every way to fail."""

    def __init__(self) -> None:
        self.count = 0

    def step(self) -> int:
        self.count += 1
        return self.count

    def fail(self, function: Any) -> None:
        self.count += 100
        function(1)


@pytest.mark.parametrize(
    "function",
    [bad.raise_value_error, bad.leave, bad.leave_at_once, bad.crash, bad.kill_itself, bad.return_unpicklable],
    ids=lambda function: function.__name__,
)
def test_a_stateful_service_goes_on_from_its_last_state(engine: Engine, function: Any) -> None:
    with Runner("steps") as runner:
        steps = runner.service(Steps)
        assert [steps.step().get(BOUND_S) for _ in range(3)] == [1, 2, 3]
        if function is not bad.return_unpicklable:
            assert isinstance(steps.fail(function).exception(BOUND_S), flamepy.TaskFailed)
        assert steps.step().get(BOUND_S) == 4


def test_a_failing_call_among_many_hits_only_itself(engine: Engine) -> None:
    with Runner("among-many") as runner:
        echo, die = runner.service(bad.echo), runner.service(bad.kill_itself)
        futures = [die(index) if index % 10 == 5 else echo(index) for index in range(100)]
        errors = {index: future.exception(BOUND_S) for index, future in enumerate(futures)}
        assert all(isinstance(errors[index], flamepy.WorkerLost) for index in range(5, 100, 10))
        assert [index for index, error in errors.items() if error is None] == [i for i in range(100) if i % 10 != 5]
        assert [futures[index].get() for index in range(5)] == list(range(5))


class SometimesBroken:
    """Its constructor raises until a file says that it may work."""

    def __init__(self) -> None:
        if not os.path.exists("/".join([os.environ["SIGNS"], "works"])):
            raise ConnectionError("not yet")

    def ping(self) -> str:
        return "pong"


@pytest.mark.inline
@pytest.mark.parametrize("autoscale", [False, True])
def test_a_constructor_that_raises_runs_again_with_the_next_call(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, autoscale: bool
) -> None:
    monkeypatch.setenv("SIGNS", str(tmp_path))
    with Runner("constructor") as runner:
        service = runner.service(SometimesBroken, autoscale=autoscale)
        for _ in range(4):
            assert isinstance(service.ping().exception(BOUND_S), ConnectionError)
        (tmp_path / "works").touch()
        assert service.ping().get(BOUND_S) == "pong"


@pytest.mark.inline
def test_a_first_call_that_is_cancelled_while_its_service_loads_harms_no_other(engine: Engine) -> None:
    with Runner("cancel-first") as runner:
        for _ in range(5):
            service = runner.service(bad.echo)
            first = service(0)
            first.cancel()
            assert [service(index).get(BOUND_S) for index in range(1, 5)] == [1, 2, 3, 4]
            assert first.wait(BOUND_S)
