# SPDX-License-Identifier: Apache-2.0
"""The extension in a real kernel: replies as front ends see them, and what a killed kernel leaves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.notebook.interrupts import BLOCKED, TELL, interrupted
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel

COUNTER = """%%flame_service Counter
class Counter:
    def __init__(self, initial=0):
        self._count = initial

    def add(self, a):
        if a < 0:
            raise ValueError("a is negative")
        self._count = self._count + a
        return self._count"""

STUCK = """%%flame_service stuck
import threading
def stuck():
    threading.Event().wait()"""


def test_a_function_and_the_counter_end_to_end(kernel: Kernel) -> None:
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run("%%flame_service add\ndef add(a, b):\n    return a + b").check()
    assert kernel.run("print(add(1, 3).get())").text == "4\n"
    assert "Counter: class" in kernel.run(COUNTER).check().text
    assert kernel.run("Counter.add(1)\nprint(Counter.add(3).get(), Counter(10).add(4).get())").text == "4 14\n"
    assert "sq" not in kernel.run("%flame_runner status").check().text
    status = kernel.run("%flame_runner").check()
    assert "<table" in status.data[0]["text/html"]
    assert "Counter" in status.data[0]["text/plain"]
    kernel.run("%unload_ext flame_jupyter").check()
    assert kernel.run("%flame_runner").status == "error"


def test_a_failing_body_fails_the_reply_with_one_traceback(kernel: Kernel) -> None:
    reply = kernel.run("%%flame_service f\ndef f():\n    pass\nnothing")
    assert (reply.status, reply.ename) == ("error", "NameError")
    assert "----> 4 nothing" in reply.traceback
    assert reply.traceback.count("Traceback") == 1
    assert "flame_jupyter" not in reply.traceback


def test_a_mistake_fails_the_reply(kernel: Kernel) -> None:
    reply = kernel.run("%%flame_service Counter\ndef counted():\n    pass")
    assert reply.status == "error"
    assert "the cell does not define 'Counter'" in reply.text


def test_a_failed_call_shows_one_traceback_at_the_line_of_its_cell(kernel: Kernel) -> None:
    kernel.run(COUNTER).check()
    reply = kernel.run("Counter.add(2).get()\nCounter.add(-1).get()")
    assert (reply.status, reply.ename) == ("error", "ValueError")
    assert "line 8, in Counter.add" in reply.traceback
    assert '---->   8             raise ValueError("a is negative")' in reply.traceback
    assert "line 2: Counter.add(-1).get()" in reply.traceback
    assert reply.traceback.count("Traceback") == 1
    assert "flamepy" not in reply.traceback
    assert kernel.run("print(Counter.add(1).get())").text == "3\n"


def test_a_stop_that_was_interrupted_can_be_finished(kernel: Kernel) -> None:
    kernel.run(STUCK).check()
    kernel.run(f"{TELL}\ncall = stuck()").check()
    reply, _ = interrupted(kernel, BLOCKED, "%flame_runner stop")
    assert reply.ename == "KeyboardInterrupt", reply.traceback
    kernel.run("%flame_runner stop --cancel").check()
    assert kernel.run("print(call.state)").text == "cancelled\n"


def test_a_killed_kernel_with_four_busy_workers_leaves_nothing(
    start_kernel: Callable[[], Kernel], tmp_path: Path
) -> None:
    kernel = start_kernel()
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run("%flame_runner start --workers 4").check()
    kernel.run(
        f"%%flame_service busy\nimport os\ndef busy():\n    os.mkdir(f'{tmp_path}/busy-{{os.getpid()}}')\n"
        "    while True:\n        pass"
    ).check()
    kernel.run(
        "import glob, time\ncalls = [busy() for _ in range(4)]\nend = time.monotonic() + 30\n"
        f"while len(glob.glob('{tmp_path}/busy-*')) < 4:\n    assert time.monotonic() < end"
    ).check()
    started = {each.pid for each in kernel.note_processes()}
    assert {int(each.name.partition("-")[2]) for each in tmp_path.glob("busy-*")} <= started
    kernel.kill()
    kernel.assert_nothing_is_left()


def test_a_restarted_kernel_leaves_no_workers(start_kernel: Callable[[], Kernel]) -> None:
    kernel = start_kernel()
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run(STUCK).check()
    kernel.run("call = stuck()").check()
    assert kernel.note_processes()
    kernel.end()
    kernel.assert_nothing_is_left()
