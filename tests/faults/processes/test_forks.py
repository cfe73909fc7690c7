# SPDX-License-Identifier: Apache-2.0
"""A call may fork, and its child may leave in any way: there it ends, and the call gives what the parent gives."""

from __future__ import annotations

import ctypes
import os
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.api import Engine
from tests.faults import bad_objects as bad
from tests.signs import BOUND_S


def _fork() -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 and newer: the process has threads
        return os.fork()


def _fork_in_c() -> int:
    """As a native library does it: nothing in Python is told."""
    return int(ctypes.PyDLL(None).fork())


def _fork_with_terminal() -> int:
    return os.forkpty()[0]


def _return() -> str:
    return "child"


def _leave() -> None:
    sys.exit(3)


def _leave_with_words() -> None:
    sys.exit("words")


def _raise() -> None:
    raise ValueError("in the child")


def _interrupt() -> None:
    raise KeyboardInterrupt


def _fork_again() -> str:
    return "grandchild" if _fork() == 0 else "child"


def _call_from_the_child() -> str:
    with Runner("of-the-child") as runner:
        return str(runner.service(bad.echo)("from the child").get(BOUND_S))


def _parent_of(fork: Callable[[], int], leave: Callable[[], Any]) -> tuple[str, int]:
    """What the parent gives: its word, and how the child ended."""
    pid = fork()
    if pid == 0:
        return leave()  # type: ignore[no-any-return]
    return "parent", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _parent_that_goes_first(gate: str) -> str:
    """The child comes back when the call has long ended."""
    if _fork() == 0:
        while not os.path.exists(gate):
            time.sleep(0.005)
        return "child"
    return "parent"


class Forking:
    def __init__(self) -> None:
        self.count = 0

    def step(self) -> tuple[str, int]:
        self.count += 1
        return _parent_of(_fork, _return)[0], self.count


def _forking_parts() -> Iterator[str]:
    yield "first"
    yield _parent_of(_fork, _return)[0]
    yield "last"


class ForksWhenPickled:
    def __reduce__(self) -> tuple[Any, ...]:
        return str, (_parent_of(_fork, _return)[0],)


def _give_what_forks_when_pickled() -> ForksWhenPickled:
    return ForksWhenPickled()


def _assert_that_calls_go_on(runner: Runner) -> None:
    service = runner.service(bad.echo)
    assert [each.get(BOUND_S) for each in [service(value) for value in range(50)]] == list(range(50))


@pytest.fixture
def runner(engine: Engine) -> Iterator[Runner]:
    with Runner("forks") as runner:
        yield runner


@pytest.mark.parametrize("fork", [_fork, _fork_in_c, _fork_with_terminal], ids=["os.fork", "C", "forkpty"])
@pytest.mark.parametrize(
    ("leave", "exit_code"),
    [(_return, 0), (_leave, 3), (_leave_with_words, 1), (_raise, 1), (_interrupt, 1), (_fork_again, 0)],
    ids=lambda each: each.__name__ if callable(each) else "",
)
def test_a_child_ends_where_it_comes_out_of_the_call(
    runner: Runner, fork: Callable[[], int], leave: Callable[[], Any], exit_code: int
) -> None:
    assert runner.service(_parent_of)(fork, leave).get(BOUND_S) == ("parent", exit_code)
    _assert_that_calls_go_on(runner)


def test_a_child_that_comes_back_late_answers_nothing(runner: Runner, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    service = runner.service(_parent_that_goes_first)
    assert [service(str(gate)).get(BOUND_S) for _ in range(3)] == ["parent"] * 3
    gate.touch()
    _assert_that_calls_go_on(runner)


def test_a_child_of_a_stateful_service_changes_no_state(runner: Runner) -> None:
    forking = runner.service(Forking)
    assert [forking.step().get(BOUND_S) for _ in range(3)] == [("parent", 1), ("parent", 2), ("parent", 3)]
    _assert_that_calls_go_on(runner)


def test_a_child_of_a_generator_gives_no_part(runner: Runner) -> None:
    assert [part.get(BOUND_S) for part in runner.service(_forking_parts)()] == ["first", "parent", "last"]
    _assert_that_calls_go_on(runner)


def test_a_child_that_is_forked_while_the_result_is_pickled_gives_none(runner: Runner) -> None:
    assert runner.service(_give_what_forks_when_pickled)().get(BOUND_S) == "parent"
    _assert_that_calls_go_on(runner)


def test_a_child_may_make_calls_of_its_own(runner: Runner) -> None:
    assert runner.service(_parent_of)(_fork, _call_from_the_child).get(BOUND_S) == ("parent", 0)
    _assert_that_calls_go_on(runner)


def _daemonize() -> str:
    """As libraries do: the process that was the worker leaves, and its grandchild goes on."""
    if _fork():
        os._exit(0)
    return "daemon"


def _close_everything() -> str:
    os.closerange(3, 256)
    return "closed"


def _write_everywhere() -> None:
    for fd in range(3, 64):
        try:
            os.write(fd, b"\1\2\3\4\5\6\7" * 8)
        except OSError:
            continue


@pytest.mark.parametrize("harm", [_daemonize, _close_everything])
def test_a_call_that_takes_its_worker_away_ends_with_that_and_alone(runner: Runner, harm: Callable[[], Any]) -> None:
    assert isinstance(runner.service(harm)().exception(BOUND_S), flamepy.WorkerLost)
    _assert_that_calls_go_on(runner)


def test_garbage_in_the_workers_own_pipes_never_hangs_and_a_new_runner_works(
    project: None, nothing_is_left: None
) -> None:
    with Runner("garbage", fail_if_exists=True) as runner:
        error = runner.service(_write_everywhere)().exception(BOUND_S)
        assert error is None or isinstance(error, flamepy.FlameError)
        assert threading.active_count() < 50
    with Runner("after-garbage") as runner:
        _assert_that_calls_go_on(runner)
