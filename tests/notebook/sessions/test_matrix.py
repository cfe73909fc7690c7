# SPDX-License-Identifier: Apache-2.0
"""The kernel protocol on every version of ipykernel that we support, each in an environment of its own.

The tests of one version share a kernel.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.notebook.environments import environment, versions
from tests.notebook.interrupts import CELLS, PACKAGING, interrupted, prepare
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel

BROKEN = "7.0.1"
# One of each kind: with neighbours that behave alike only when FLAME_TEST_KERNELS=all asks for them.
ALIKE = () if os.environ.get("FLAME_TEST_KERNELS") == "all" else ("6.31.0", "7.3.0")
SUPPORTED = [version for version in versions() if version not in (BROKEN, *ALIKE)]
WIDGET = "application/vnd.jupyter.widget-view+json"
PACKAGE_FILES = 60  # of a megabyte that does not compress: packaging them takes seconds

# A call that ends when the test makes a file.
GATED = """%%flame_service gated
def gated(gate):
    import os, threading
    while not os.path.exists(gate):
        threading.Event().wait(0.005)
    return "through"
"""


@pytest.fixture(scope="module", params=SUPPORTED)
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shared_kernel(version: str, start_shared_kernel: Callable[[Path | None], Kernel]) -> Iterator[Kernel]:
    kernel = start_shared_kernel(environment(version))
    prepare(kernel)
    kernel.run(GATED).check()
    yield kernel
    kernel.end()


@pytest.fixture
def kernel(shared_kernel: Kernel) -> Iterator[Kernel]:
    yield shared_kernel
    left = (
        "import flamepy\nleft = [each for each in list(globals().values()) if isinstance(each, flamepy.ObjectFuture)]\n"
    )
    ended = shared_kernel.run(f"{left}for each in left:\n    each.cancel()\nprint(all(each.wait(20) for each in left))")
    assert ended.check().text == "True\n"


def test_the_kernel_is_of_that_version_and_nothing_is_said_about_it(kernel: Kernel, version: str) -> None:
    assert kernel.run("import ipykernel\nprint(ipykernel.__version__)").text == f"{version}\n"
    assert kernel.run("%reload_ext flame_jupyter").check().text == ""


def test_version_7_0_is_named_with_the_cure(start_shared_kernel: Callable[[Path | None], Kernel]) -> None:
    """There every update from a thread fails."""
    kernel = start_shared_kernel(environment(BROKEN))
    said = kernel.run("%load_ext flame_jupyter").check().text
    assert f"ipykernel {BROKEN} fails on what threads send, so live views will not update." in said
    assert "pip install 'ipykernel!=7.0.*'" in said
    assert "Traceback" not in said
    kernel.end()


def test_a_service_end_to_end(kernel: Kernel) -> None:
    cell = "%%flame_service Count\nclass Count:\n    n = 0\n    def add(self, k):\n        self.n += k\n"
    cell += "        return self.n"
    kernel.run(cell).check()
    assert kernel.run("Count.add(1)\nprint(Count.add(3).get(), await Count.add(2))").check().text == "4 6\n"
    assert "Count: unchanged" in kernel.run(cell).check().text
    assert "Count" in kernel.run("%flame_runner status").check().data[0]["text/plain"]


def test_a_live_view_follows_its_call_while_another_cell_runs(kernel: Kernel, version: str) -> None:
    """What a thread sends belongs to the cell that runs, and every update arrives."""
    first, second = kernel.project / "first", kernel.project / "second"
    shown = Shown(kernel, kernel.begin(f"call = gated({str(first)!r})\ncall", is_person=True))
    running = kernel.begin(f"other = gated({str(second)!r})\nother.get()", is_person=True)
    kernel.until(lambda message: message["msg_type"] == "execute_input" and is_of(message, running))
    first.touch()

    view = kernel.until(lambda message: shown.is_view(message, state="succeeded"))
    static = kernel.until(shown.is_static)
    second.touch()

    assert is_of(view, running)
    assert is_of(static, running)
    assert "through" in static["content"]["data"]["text/plain"]
    assert WIDGET not in static["content"]["data"]
    assert kernel.finish(running).status == "ok"


def test_the_cancel_button_ends_a_call_while_no_cell_runs(kernel: Kernel) -> None:
    shown = Shown(kernel, kernel.begin("call = stuck()\ncall", is_person=True))
    shown.click_cancel()
    kernel.until(lambda message: shown.is_view(message, state="cancelled"))
    kernel.until(shown.is_static)
    assert kernel.run("print(call.state)").text == "cancelled\n"


def test_the_cancel_button_ends_a_call_that_the_cell_awaits(kernel: Kernel, version: str) -> None:
    """From ipykernel 7 on a cell that awaits lets clicks through; with 6 they come after the cell."""
    is_held_back = version.startswith("6.")
    gate = kernel.project / "awaited"
    shown = Shown(kernel, kernel.begin(f"call = gated({str(gate)!r})\ncall", is_person=True))
    awaiting = kernel.begin("await call", is_person=True)
    kernel.until(lambda message: message["msg_type"] == "execute_input" and is_of(message, awaiting))
    shown.click_cancel(subshell_id=None if is_held_back else subshell_of(kernel))
    if is_held_back:
        gate.touch()
    assert kernel.finish(awaiting).ename == ("" if is_held_back else "CallCancelled")


def test_the_cancel_button_while_a_cell_blocks(kernel: Kernel, version: str) -> None:
    """7.1 and 7.3 handle the click meanwhile, on the subshell; 6 and 7.4 when the cell has ended."""
    is_held_back = not version.startswith(("7.1.", "7.3."))
    gate = kernel.project / "blocked"
    shown = Shown(kernel, kernel.begin(f"call = gated({str(gate)!r})\ncall", is_person=True))
    blocking = kernel.begin("call.get()", is_person=True)
    kernel.until(lambda message: message["msg_type"] == "execute_input" and is_of(message, blocking))
    shown.click_cancel(subshell_id=None if version.startswith("6.") else subshell_of(kernel))
    if is_held_back:
        gate.touch()
    assert kernel.finish(blocking).ename == ("" if is_held_back else "CallCancelled")


def test_a_cell_of_a_program_ends_with_what_its_call_came_to(kernel: Kernel) -> None:
    """A program drops what comes after the last cell, so the cell that shows a future waits for it."""
    reply = kernel.run("%%flame_service twice\ndef twice(x):\n    return 2 * x").check()
    reply = kernel.run("twice(21)").check()
    assert "42" in reply.data[-1]["text/plain"]
    assert "pending" not in reply.data[-1]["text/plain"]
    assert WIDGET not in reply.data[-1]


def test_what_ended_between_two_cells_of_a_program_is_sent_again_in_the_next(kernel: Kernel) -> None:
    """A program drops what comes between two of its cells."""
    gate = kernel.project / "between"
    kernel.run("%config FlameMagics.settle_timeout = 0").check()
    pending = kernel.run(f"call = gated({str(gate)!r})\ncall").check()
    gate.touch()
    kernel.until(lambda message: message["msg_type"] == "update_display_data" and "through" in text_of(message))
    reply = kernel.run("%config FlameMagics.settle_timeout = 60").check()
    assert "pending" in pending.data[-1]["text/plain"]
    assert "through" in reply.data[-1]["text/plain"]


def test_the_magics_are_completed(kernel: Kernel) -> None:
    assert "%flame_runner" in completions(kernel, "%flame_ru")
    assert "--workers" in completions(kernel, "%flame_runner start --wor")
    assert "--autoscale" in completions(kernel, "%%flame_service stuck --auto")


@pytest.mark.parametrize("waiting", CELLS)
def test_an_interrupt_ends_the_cell_and_its_call_and_the_next_cell_works(kernel: Kernel, waiting: str) -> None:
    place, cell = CELLS[waiting]
    for _ in range(2):
        reply, _ = interrupted(kernel, place, f"call = stuck()\n{cell}")
        assert reply.ename == ("CancelledError" if waiting == "await" else "KeyboardInterrupt")
        assert reply.text == "Interrupted: cancelled 1 call.\n"
        assert kernel.run("print(call.wait(20))").text == "True\n"


def test_an_interrupt_of_packaging_ends_the_cell_and_the_next_one_packages(kernel: Kernel) -> None:
    place, cell = PACKAGING
    for number in range(PACKAGE_FILES):
        (kernel.project / f"{number}.bin").write_bytes(os.urandom(1_000_000))
    kernel.run("%flame_runner stop --cancel").check()
    reply, _ = interrupted(kernel, place, cell)
    assert reply.ename == "KeyboardInterrupt", reply
    for number in range(PACKAGE_FILES):
        (kernel.project / f"{number}.bin").unlink()
    assert ".tar.gz" in kernel.run("%flame_runner package").check().data[0]["text/plain"]


class Shown:
    """The display of a future by a cell of a person: its widget's comm, and its output."""

    def __init__(self, kernel: Kernel, message_id: str) -> None:
        self._kernel = kernel
        self.comm_id = self.display_id = ""
        is_idle = False
        while not is_idle:
            message = kernel.until(lambda message: is_of(message, message_id))
            content = message["content"]
            if message["msg_type"] == "comm_open" and "view" in content["data"].get("state", {}):
                self.comm_id = content["comm_id"]
            elif message["msg_type"] == "display_data" and WIDGET in content["data"]:
                self.display_id = content["transient"]["display_id"]
            is_idle = message["msg_type"] == "status" and content["execution_state"] == "idle"
        kernel.answer(message_id)
        assert self.comm_id
        assert self.display_id

    def is_view(self, message: dict[str, Any], *, state: str) -> bool:
        """Does the message tell the widget that the call is in this state?"""
        if message["msg_type"] != "comm_msg" or message["content"]["comm_id"] != self.comm_id:
            return False
        view = message["content"]["data"].get("state", {}).get("view", {})
        return bool(view.get("state") == state)

    def is_static(self, message: dict[str, Any]) -> bool:
        """Does it replace the widget by what stays?"""
        content = message["content"]
        is_update: bool = message["msg_type"] == "update_display_data"
        return is_update and content["transient"]["display_id"] == self.display_id

    def click_cancel(self, *, subshell_id: str | None = None) -> None:
        content = {"comm_id": self.comm_id, "data": {"method": "custom", "content": {"ask": "cancel"}}}
        self._kernel.send("comm_msg", content, subshell_id=subshell_id)


def is_of(message: dict[str, Any], message_id: str) -> bool:
    return bool(message["parent_header"].get("msg_id") == message_id)


def text_of(message: dict[str, Any]) -> str:
    return str(message["content"]["data"].get("text/plain", ""))


def subshell_of(kernel: Kernel) -> str:
    """A subshell, to which front ends send the messages of widgets."""
    return str(kernel.ask("create_subshell_request")["subshell_id"])


def completions(kernel: Kernel, code: str) -> list[str]:
    return list(kernel.answer(kernel.client.complete(code))["matches"])
