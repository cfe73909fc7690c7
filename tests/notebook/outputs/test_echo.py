# SPDX-License-Identifier: Apache-2.0
"""What calls print, in the output of the cell that made them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flame_jupyter.calls.echo import Echo
from flame_jupyter.display.sources.printed import EchoSource
from flamepy import ObjectFuture
from tests.notebook.kernels import Kernel
from tests.notebook.shells import Shell
from tests.signs import BOUND_S

TALK = "%%flame_service talk --quiet\ndef talk(n):\n    print('line', n)\n    return n"
TALKER = """%%flame_service Talker --quiet
class Talker:
    def say(self, text):
        import sys
        print(text, file=sys.stderr)
    def fail(self):
        print("before")
        raise ValueError("no")"""
LATE = """%%flame_service late --quiet
def late(gate):
    import os, threading
    while not os.path.exists(gate):
        threading.Event().wait(0.005)
    print("late")"""
QUIET = "%%flame_service quiet --quiet\ndef quiet(n):\n    return n"
ALL = "%config FlameMagics.echo_logs = 'all'"

# -- in a terminal: told when a call has ended, while a cell runs


@pytest.fixture
def talking(shell: Shell) -> Shell:
    for cell in (TALK, TALKER, QUIET, ALL):
        shell.run(cell)
    return shell


def test_nothing_is_echoed_unless_somebody_asks(shell: Shell) -> None:
    shell.run(TALK)
    assert shell.run("talk(1).get()").printed.strip() == "Out[2]: 1"


@pytest.mark.parametrize("meanwhile", ["pass", "while not call.done(): pass"])
def test_a_wait_tells_what_the_call_has_printed_before_the_cell_goes_on(talking: Shell, meanwhile: str) -> None:
    printed = talking.run(f"call = talk(1)\n{meanwhile}\ncall.get()\nprint('after')").printed
    assert printed == "--- talk(1) #{} succeeded\nline 1\nafter\n".format(talking["call"].id)


def test_a_wait_tells_of_a_call_whose_callback_is_telling_of_it_at_the_moment(talking: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    said: list[str] = []
    is_telling, may_go_on = threading.Event(), threading.Event()

    def limit_chars() -> int:
        if threading.current_thread() is not threading.main_thread():
            is_telling.set()
            assert may_go_on.wait(BOUND_S)
        return 1000

    echo = Echo(talking.ip, lambda: "all", limit_chars, said.append)
    talking.run("%config FlameMagics.echo_logs = 'none'")
    talking.run(LATE)
    call = talking.ip.ev(f"late({str(gate)!r})")
    echo.follow(call)
    gate.touch()  # not before: the callback of a call that has ended is called here
    call.wait(BOUND_S)
    assert is_telling.wait(BOUND_S)
    threading.Timer(0.05, may_go_on.set).start()
    echo.waited([call])
    assert said == [f"--- {call.call_text} #{call.id} succeeded\nlate"]


def test_each_call_is_told_once_however_it_is_waited_for(talking: Shell) -> None:
    printed = talking.run("calls = [talk(i) for i in range(3)] + [quiet(7)]").printed
    printed += talking.run("%flame_runner wait calls --quiet\nfor each in calls: each.get()").printed
    assert sorted(line for line in printed.splitlines() if line.startswith("line")) == ["line 0", "line 1", "line 2"]
    assert printed.count("---") == 3
    assert talking.run("calls[0].get()").printed.count("line") == 0


def test_a_failed_call_is_told_above_its_traceback(talking: Shell) -> None:
    printed = talking.run_any("Talker.fail().get()").printed
    assert printed.index("failed\nbefore") < printed.index("ValueError")


def test_calls_of_an_object_that_a_handle_has_made_are_told_when_something_holds_them(talking: Shell) -> None:
    printed = talking.run("talker = Talker()\nfirst = talker.say('one')\ntalker.say('two').get()").printed
    assert "one" in printed
    assert "two" in printed


def test_only_what_goes_to_stderr_is_told_on_demand(talking: Shell) -> None:
    talking.run("%config FlameMagics.echo_logs = 'stderr'")
    printed = talking.run("call = Talker.say('one')\ncall.get()\ntalk(1).get()").printed
    assert printed.startswith("--- Talker.say('one') #{} succeeded\none\n".format(talking["call"].id))
    assert "line 1" not in printed


def test_what_ends_between_two_cells_is_told_in_the_next_one(talking: Shell, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    talking.run(LATE)
    assert talking.run(f"call = late({str(gate)!r})").printed == ""
    gate.touch()
    assert has_ended(talking["call"])
    assert "late\n" in talking.run("1;").printed


def has_ended(future: ObjectFuture) -> bool:
    """Without a wait that the notebook sees."""
    ended = threading.Event()
    future.add_done_callback(lambda _: ended.set())
    return ended.wait(30)


def test_a_cell_shows_no_more_than_the_limit_and_says_what_is_missing(talking: Shell) -> None:
    talking.run("%config FlameMagics.log_bytes = 40")
    printed = talking.run("calls = [talk(i) for i in range(4)]\n[each.get() for each in calls]").printed
    assert printed.count("line") == 1
    assert "... what 3 more calls have printed is left out here: %flame_runner logs shows it." in printed
    assert talking.run("talk(10).get()").printed.count("line 10") == 1  # the next cell has its own limit
    printed = talking.run("Talker.say('a' * 100 + 'z').get()").printed
    assert "a" * 39 + "z\n" in printed
    assert "a" * 40 not in printed


# -- in a kernel


@pytest.fixture(scope="module")
def kernel(start_shared_kernel: Callable[[Path | None], Kernel]) -> Kernel:
    kernel = start_shared_kernel(None)
    for cell in ("%load_ext flame_jupyter", TALK, QUIET, ALL):
        kernel.run(cell).check()
    kernel.run(
        "%%flame_service steps --quiet\ndef steps(gate):\n    import os, threading\n    print('begun')\n"
        "    while not os.path.exists(gate):\n        threading.Event().wait(0.005)\n    print('ended')"
    ).check()
    return kernel


@pytest.mark.kernel
def test_a_program_gets_it_as_printed_text_of_the_cell(kernel: Kernel) -> None:
    reply = kernel.run("call = talk(5)\nvalue = call.get()").check()
    assert reply.text.endswith("succeeded\nline 5\n")
    assert reply.data == []
    assert kernel.run("value = await talk(6)").check().text.endswith("line 6\n")


@pytest.mark.kernel
def test_below_the_cell_of_a_person_it_grows_while_the_call_runs_and_after_the_cell(kernel: Kernel) -> None:
    gate = kernel.project / "gate"
    reply = kernel.finish(kernel.begin(f"call = steps({str(gate)!r})", is_person=True))
    assert {each["text/plain"] for each in reply.check().data} == {""}
    begun = kernel.until(lambda message: "begun" in text_of(message))
    assert begun["msg_type"] == "update_display_data"
    assert "so far" in text_of(begun)
    gate.touch()
    ended = kernel.until(lambda message: "ended" in text_of(message) and "so far" not in text_of(message))
    assert ended["content"]["transient"] == begun["content"]["transient"]
    assert text_of(ended).startswith("Printed by 1 call\n--- steps(")
    assert "<pre" in ended["content"]["data"]["text/html"]
    assert kernel.run("1;").check().text == ""  # and is not told again


@pytest.mark.kernel
def test_calls_that_print_nothing_leave_nothing_to_see(kernel: Kernel) -> None:
    kernel.begin("value = quiet(1).get()", is_person=True)
    first = kernel.until(lambda message: message["msg_type"] == "display_data")
    last = kernel.until(lambda message: message["msg_type"] == "update_display_data")
    for each in (first, last):
        assert each["content"]["data"] == {"text/plain": "", "text/html": "<div></div>"}


def text_of(message: dict[str, Any]) -> str:
    return str(message["content"].get("data", {}).get("text/plain", ""))


# -- its size


class Call:
    def __init__(self, number: int, output: str, *, runs: bool = False) -> None:
        self.id, self.output, self.stderr, self.runs = number, output, "", runs
        self.call_text, self.state = f"f({number})", "running" if runs else "succeeded"

    def running(self) -> bool:
        return self.runs


def test_of_many_calls_the_last_ones_are_kept() -> None:
    source = EchoSource(limit_chars=100)
    for number in range(1000):
        source.begin(Call(number, ""))
        source.end(Call(number, ""), f"--- f({number})\nline {number}")
    assert sum(map(len, source._ended)) < 130
    content = source.content(now_s=0.0)
    assert content.title == "Printed by 1,000 calls"
    assert content.text.endswith("line 999")
    assert len(content.text) <= 102
    assert not content.is_final
    source.close()
    assert source.content(now_s=0.0).is_final
