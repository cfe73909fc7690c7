# SPDX-License-Identifier: Apache-2.0
"""What an interrupt does to the calls that a cell waits for: cancelled, told, the cell ends."""

from __future__ import annotations

import re
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flame_jupyter.calls.interrupts import cancelled
from tests.notebook.interrupts import AWAITING, BLOCKED, interrupted, prepare
from tests.notebook.kernels import Kernel

kernel_test = pytest.mark.kernel

ITERATING = "runner/waiting/iterators.py:__next__"
# What the cell waits with, the calls that are cancelled then, and the calls that go on.
WAITS = [
    pytest.param(BLOCKED, "a.get()", "a", "bc", id="get"),
    pytest.param(BLOCKED, "a.wait()", "a", "bc", id="wait"),
    pytest.param(BLOCKED, "a.ref()", "a", "bc", id="ref"),
    pytest.param(AWAITING, "await a", "a", "bc", id="await"),
    pytest.param(AWAITING, "import asyncio\nawait asyncio.gather(a, b)", "ab", "c", id="await gather"),
    pytest.param(BLOCKED, "import asyncio\nawait asyncio.sleep(0)\na.get()", "a", "bc", id="get in a cell that awaits"),
    pytest.param(BLOCKED, "[f.get() for f in [a, b]]", "a", "bc", id="get of each: the one that is waited for"),
    pytest.param(BLOCKED, "runner.get([a, b])", "ab", "c", id="runner.get: all of them"),
    pytest.param(BLOCKED, "runner.wait([a, b])", "ab", "c", id="runner.wait: all of them"),
    pytest.param(ITERATING, "for f in runner.select([a, b]):\n    pass", "ab", "c", id="select: those that are left"),
    pytest.param(AWAITING, "async for f in runner.select([a, b]):\n    pass", "ab", "c", id="async for over select"),
    pytest.param(BLOCKED, "%flame_runner wait a b", "ab", "c", id="%flame_runner wait"),
]


@pytest.fixture(scope="module")
def shared_kernel(start_shared_kernel: Callable[[Path | None], Kernel]) -> Kernel:
    kernel = start_shared_kernel(None)
    prepare(kernel)
    kernel.run("runner = %flame_runner start").check()
    return kernel


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    """The kernel of the module, with three calls that never end by themselves."""
    shared_kernel.run("a, b, c = calls = [stuck() for _ in range(3)]").check()
    yield shared_kernel
    ended = shared_kernel.run("for each in calls:\n    each.cancel()\nprint(all(each.wait(20) for each in calls))")
    assert ended.check().text == "True\n"


@kernel_test
@pytest.mark.parametrize(("place", "cell", "ended", "alive"), WAITS)
def test_an_interrupt_cancels_what_the_cell_waits_for_and_says_so(
    kernel: Kernel, place: str, cell: str, ended: str, alive: str
) -> None:
    reply, _ = interrupted(kernel, place, cell)

    awaits = place == AWAITING
    number = "1 call" if len(ended) == 1 else f"{len(ended)} calls"
    assert (reply.status, reply.ename) == ("error", "CancelledError" if awaits else "KeyboardInterrupt")
    others = "1 other call goes on: %flame_runner cancel ends it."
    if len(alive) > 1:
        others = f"{len(alive)} other calls go on: %flame_runner cancel ends them."
    assert reply.text == f"Interrupted: cancelled {number}. {others}\n"
    states = kernel.run(
        f"print([each.wait(20) and each.state for each in ({','.join(ended)},)])\n"
        f"print(any(each.done() for each in ({','.join(alive)},)))"
    )
    assert states.check().text == f"{['cancelled'] * len(ended)}\nFalse\n"


@kernel_test
@pytest.mark.parametrize(("place", "cell"), [(BLOCKED, "a.get()"), (AWAITING, "await a"), (BLOCKED, "runner.get([a])")])
def test_the_traceback_of_an_interrupt_ends_at_the_line_of_the_cell(kernel: Kernel, place: str, cell: str) -> None:
    traceback = interrupted(kernel, place, cell)[0].traceback
    assert f"---->   2 {cell}" in traceback
    assert "flamepy" not in traceback
    assert "asyncio" not in traceback
    assert traceback.count("Traceback") == 1


@kernel_test
def test_an_interrupt_stops_the_cells_that_wait_behind(kernel: Kernel) -> None:
    first = kernel.begin(f"tell({BLOCKED!r})\na.get()")
    second = kernel.begin("went_on = True")
    kernel.finish(first, until=lambda reply: "waiting" in reply.text)
    kernel.interrupt()
    assert kernel.finish(first).status == "error"
    assert kernel.finish(second).status == "aborted"
    assert kernel.run("print('went_on' in globals())").text == "False\n"


@kernel_test
@pytest.mark.parametrize(("place", "cell"), [(BLOCKED, "runner.get(calls)"), (AWAITING, "await a")])
def test_on_interrupt_detach_ends_the_waiting_alone(kernel: Kernel, place: str, cell: str) -> None:
    kernel.run("%config FlameMagics.on_interrupt = 'detach'").check()
    reply, _ = interrupted(kernel, place, cell)
    kernel.run("%config FlameMagics.on_interrupt = 'cancel'").check()
    assert reply.text == "Interrupted: 3 calls go on: %flame_runner cancel ends them.\n"
    assert kernel.run("print(any(each.done() for each in calls))").text == "False\n"


@kernel_test
def test_a_cell_that_catches_the_interrupt_goes_on(kernel: Kernel) -> None:
    cell = "try:\n    a.get()\nexcept KeyboardInterrupt:\n    print('caught', a.wait(20), a.state)"
    reply, _ = interrupted(kernel, BLOCKED, cell)
    assert reply.status == "ok"
    assert reply.text.startswith("Interrupted: cancelled 1 call. 2 other calls go on: ")
    assert reply.text.endswith("\ncaught True cancelled\n")


# It says itself that it is in its loop: before, IPython compiles each statement, and an interrupt would meet it there.
LOOK_AND_SLEEP = """
told = False
while not all(f.done() for f in calls):
    told = told or not print('waiting\\n', end='', flush=True)
    time.sleep(0.01)
"""
LOOPS = [
    pytest.param(LOOK_AND_SLEEP, 0, 3, id="looks and sleeps"),
    pytest.param("while not a.wait(0.01):\n    pass", 1, 2, id="waits in pieces"),
    pytest.param("list(f.get() for f in calls)", 1, 2, id="a generator"),
    pytest.param("for f in calls:\n    print(f.get())", 1, 2, id="a loop"),
]


@kernel_test
@pytest.mark.parametrize(("cell", "cancels", "go_on"), LOOPS)
def test_an_interrupt_of_any_loop_over_calls_says_what_goes_on(
    kernel: Kernel, cell: str, cancels: int, go_on: int
) -> None:
    tells = f"tell({BLOCKED!r})\n" if cancels else ""
    message_id = kernel.begin(f"import time\n{tells}{cell}")
    kernel.finish(message_id, until=lambda reply: "waiting" in reply.text)
    kernel.interrupt()
    said = kernel.finish(message_id).text.removeprefix("waiting\n")
    if cancels:
        assert said == f"Interrupted: cancelled 1 call. {go_on} other calls go on: %flame_runner cancel ends them.\n"
    else:
        assert said == f"Interrupted: {go_on} calls go on: %flame_runner cancel ends them.\n"
    if cancels:
        kernel.run("a.wait(20)").check()  # it is ending
    assert kernel.run("%flame_runner cancel").check().text == f"Flame: cancelled {go_on} calls.\n"
    kernel.run("print(all(each.wait(20) for each in calls))").check()
    assert kernel.run("%flame_runner cancel").check().text == "Flame: there are no calls to cancel.\n"


@kernel_test
def test_calls_that_no_variable_holds_are_waited_for_and_cancelled_too(kernel: Kernel) -> None:
    kernel.run("stuck(); [each for each in [stuck()]]; del calls[1:], b, c").check()
    waited = kernel.run("%flame_runner wait --timeout 0 --quiet")
    assert waited.text.startswith("UsageError: 5 of "), waited.text
    assert kernel.run("%flame_runner cancel a").check().text == "Flame: cancelled 1 call.\n"
    kernel.run("a.wait(20)").check()
    assert kernel.run("%flame_runner cancel").check().text == "Flame: cancelled 4 calls.\n"


@kernel_test
def test_an_interrupted_stop_says_what_it_has_cancelled(start_kernel: Callable[[], Kernel]) -> None:
    kernel = start_kernel()
    prepare(kernel)
    kernel.run("calls = [stuck() for _ in range(3)]").check()
    reply, _ = interrupted(kernel, BLOCKED, "%flame_runner stop")
    assert reply.ename == "KeyboardInterrupt"
    assert re.fullmatch(r"Interrupted: cancelled 3 calls, and the Runner \S+ is stopped.\n", reply.text), reply.text
    assert "flamepy" not in reply.traceback
    assert kernel.run("%flame_runner stop").check().text == "Flame: no Runner is open.\n"


@kernel_test
def test_a_timeout_and_a_cancelled_task_of_asyncio_are_no_interrupt(kernel: Kernel) -> None:
    timeout = kernel.run("import asyncio\nawait asyncio.wait_for(a, 0.01)")
    assert timeout.ename == "TimeoutError"
    task = kernel.run("task = asyncio.ensure_future(a)\nawait asyncio.sleep(0)\ntask.cancel()\nawait task")
    assert task.ename == "CancelledError"
    assert timeout.text + task.text == ""
    assert kernel.run("print(a.done())").text == "False\n"


@kernel_test
def test_the_next_cell_works(kernel: Kernel) -> None:
    interrupted(kernel, BLOCKED, "runner.get(calls)")
    kernel.run("%%flame_service add\ndef add(a, b):\n    return a + b").check()
    assert kernel.run("print(add(1, 3).get(), await add(1, 4))").check().text == "4 5\n"


class NeverAnswers:
    """A call on a cluster that is gone: the question whether it can be cancelled is never answered."""

    def __init__(self, before: Callable[[], object] = lambda: None) -> None:
        self.before = before
        self.released = threading.Event()

    def done(self) -> bool:
        return False

    def cancel(self) -> bool:
        self.before()
        self.released.wait()
        return False


class Answers:
    """A call of which the engine says at once whether it can be cancelled."""

    def __init__(self, *, can: bool) -> None:
        self.can = can

    def done(self) -> bool:
        return False

    def cancel(self) -> bool:
        return self.can


def test_calls_that_an_engine_cannot_stop_are_told() -> None:
    calls = [Answers(can=True), Answers(can=False), Answers(can=True), Answers(can=False)]
    assert cancelled(calls) == ("Interrupted: cancelled 2 calls, 2 already running cannot be stopped on this cluster.")


def test_an_engine_that_does_not_answer_holds_the_cell_for_a_bounded_time() -> None:
    dead = NeverAnswers()
    said = cancelled([Answers(can=True), dead, Answers(can=True)], bound_s=0.05)
    dead.released.set()
    assert said == "Interrupted: cancelled 1 call; 2 may go on, because the engine did not answer in 0.05 s."


def test_a_second_interrupt_ends_the_cancelling() -> None:
    dead = NeverAnswers(before=lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT))
    said = cancelled([dead, Answers(can=True)], bound_s=30.0)
    dead.released.set()
    assert said == "Interrupted: cancelled 0 calls; 2 may go on, because you interrupted the cancelling too."
