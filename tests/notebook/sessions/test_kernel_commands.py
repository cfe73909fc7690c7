# SPDX-License-Identifier: Apache-2.0
"""Commands that take their time, in a real kernel: what is shown meanwhile, and what an interrupt leaves."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flame_jupyter.extension import UNLOAD_WAIT_S
from tests.notebook.interrupts import BLOCKED, PACKAGING, STUCK, interrupted, prepare
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel

WRITING, _ = PACKAGING
MEGABYTES = 40  # that do not compress: packaging them takes long enough to be interrupted

GATED = """%%flame_service gated --quiet
def gated(gate):
    import os, threading
    while not os.path.exists(gate):
        threading.Event().wait(0.005)
    return "through\""""


@pytest.fixture(scope="module")
def kernel(start_shared_kernel: Callable[[Path | None], Kernel]) -> Kernel:
    kernel = start_shared_kernel(None)
    prepare(kernel)
    kernel.run(GATED).check()
    return kernel


def test_wait_shows_progress_that_moves_and_ends_with_the_numbers(kernel: Kernel) -> None:
    first, second = kernel.project / "first", kernel.project / "second"
    kernel.run(f"calls = [gated({str(first)!r}), gated({str(second)!r})]").check()
    waiting = kernel.begin("%flame_runner wait calls", is_person=True)
    kernel.until(lambda message: tells(message, "0 of 2"))
    first.touch()
    kernel.until(lambda message: tells(message, "1 of 2"))
    second.touch()
    reply = kernel.finish(waiting)
    assert reply.check().text == "", "the view tells the end"
    kernel.until(lambda message: tells(message, "2 done"))
    assert kernel.run("%flame_runner wait calls").check().text == "Flame: 2 calls ended: 2 succeeded.\n"


def test_of_failures_of_several_kinds_each_is_printed_below_the_view(kernel: Kernel) -> None:
    cell = "%%flame_service fails --quiet\ndef fails(kind, gate):\n    import os, threading\n"
    cell += "    while not os.path.exists(gate):\n        threading.Event().wait(0.005)\n    raise kind('no')"
    kernel.run(cell).check()
    for kinds, printed in (
        ("ValueError, ValueError", ""),
        ("ValueError, ImportError", "Failed: 1 ValueError (first: "),
    ):
        gate = kernel.project / f"gate-{len(printed)}"
        kernel.run(f"calls = [fails(each, {str(gate)!r}) for each in ({kinds})]").check()
        waiting = kernel.begin("%flame_runner wait calls", is_person=True)
        kernel.until(lambda message: tells(message, "0 of 2"))
        gate.touch()
        text = kernel.finish(waiting).check().text
        assert text.startswith(printed), text
        assert text.count("\n") == bool(printed)


def tells(message: dict[str, Any], words: str) -> bool:
    """Is it said to a front end, by a widget or by an output?"""
    return words in str(message["content"].get("data"))


def test_a_shell_command_between_calls_harms_nothing(kernel: Kernel) -> None:
    """`!cmd` forks beside our threads"""
    (kernel.project / "listed").touch()
    gate = kernel.project / "listed-gate"
    kernel.run(f"call = gated({str(gate)!r})").check()
    assert "listed" in kernel.run("!ls").check().text
    assert kernel.run("names = !ls\nprint('listed' in names)").check().text == "True\n"
    gate.touch()
    assert kernel.run("print(call.get(20), gated('.').get(20))").check().text == "through through\n"


@pytest.fixture
def heavy(kernel: Kernel) -> Iterator[Kernel]:
    for number in range(MEGABYTES):
        (kernel.project / f"{number}.bin").write_bytes(os.urandom(1_000_000))
    yield kernel
    for number in range(MEGABYTES):
        (kernel.project / f"{number}.bin").unlink()


def test_an_interrupt_of_packaging_says_what_it_has_left(heavy: Kernel) -> None:
    heavy.run("r = %flame_runner start\nprint(r.name)").check()
    name = heavy.run("print(r.name)").text.strip()
    reply, _ = interrupted(heavy, WRITING, "%flame_runner restart --name other")
    assert reply.ename == "KeyboardInterrupt"
    assert reply.text == f"Interrupted: no package was made, and the Runner {name} is as it was.\n"
    left_nothing = "Interrupted: no package was made, and no Runner is open.\n"
    assert interrupted(heavy, WRITING, "%flame_runner start --force --name other")[0].text == left_nothing
    assert interrupted(heavy, WRITING, "%flame_runner package")[0].text == left_nothing
    heavy.run(f"tell({WRITING!r})").check()  # a cell magic has to be in the first line
    message = heavy.begin(GATED.replace("gated", "other"))
    heavy.finish(message, until=lambda reply: "waiting" in reply.text)
    heavy.interrupt()
    assert heavy.finish(message).text == left_nothing
    assert heavy.run(GATED.replace("gated", "other")).check().text == ""
    assert heavy.run("print(other('.').get())").text == "through\n"


@pytest.fixture
def unloading(kernel: Kernel) -> Iterator[Kernel]:
    """With a call that never ends; afterwards the extension is there again."""
    kernel.run("%flame_runner stop --cancel --quiet").check()
    kernel.run(STUCK).check()
    kernel.run("call = stuck()").check()
    yield kernel
    assert kernel.run("print(call.state)").text == "cancelled\n"
    assert kernel.run("%flame_runner").status == "error"
    assert kernel.run("%load_ext flame_jupyter").check().text == ""
    kernel.run(GATED).check()


@pytest.mark.slow
def test_unloading_gives_calls_that_never_end_a_bounded_time(unloading: Kernel) -> None:
    began_s = time.monotonic()
    said = unloading.run("%unload_ext flame_jupyter").check().text
    assert UNLOAD_WAIT_S <= time.monotonic() - began_s < UNLOAD_WAIT_S + 10
    assert said == "Flame: 1 call still runs. What has not ended in 5 s is cancelled; an interrupt does it at once.\n"


def test_an_interrupt_of_unloading_ends_the_calls_at_once(unloading: Kernel) -> None:
    reply, felt_s = interrupted(unloading, BLOCKED, "%unload_ext flame_jupyter")
    assert reply.ename == "KeyboardInterrupt"
    assert reply.text.endswith("Interrupted: what still ran is cancelled, and the extension is unloaded.\n")
    assert "extension.py" not in reply.traceback
    assert felt_s < UNLOAD_WAIT_S


def test_a_fork_of_the_kernel_is_told_so_at_the_line_of_its_cell(kernel: Kernel) -> None:
    kernel.run("import os, warnings\nwarnings.simplefilter('ignore')\nread, write = os.pipe()").check()
    told = kernel.run(
        "if (pid := os.fork()) == 0:\n    try:\n        gated('.')\n    except BaseException as error:\n"
        "        os.write(write, '\\n'.join(error._render_traceback_()).encode())\n    os._exit(0)\n"
        "os.waitpid(pid, 0)\nprint(os.read(read, 10_000).decode())"
    )
    text = re.sub(r"\x1b\[\d+m", "", told.check().text)
    assert "---->   3         gated('.')" in text
    assert "EngineForked: this process was forked" in text
    assert "flamepy/" not in text
    assert kernel.run("print(gated('.').get())").text == "through\n"
