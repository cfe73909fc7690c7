# SPDX-License-Identifier: Apache-2.0
"""Many futures in one kernel: what they cost while they are shown, and that nothing of it stays."""

from __future__ import annotations

from collections import Counter

import pytest

from flame_jupyter.display.views.shelf import SHELF_VIEWS
from tests.notebook.kernels import Kernel

pytestmark = pytest.mark.kernel

ECHO = "%%flame_service echo --quiet\ndef echo(n):\n    return n"
SETTLED = """
import gc, time
from flame_jupyter.display import _managers
updater = _managers[get_ipython()]._updater
deadline = time.monotonic() + 90
while updater._outputs and time.monotonic() < deadline:
    time.sleep(0.05)
assert not updater._outputs
"""
COMMS = "import comm; print(len(comm.get_comm_manager().comms))"
MANY = 400
ALLOWED_BYTES = MANY * 20_000


def run_watched(kernel: Kernel, code: str, *, timeout_s: float = 100.0) -> Counter[str]:
    """Run a cell as a person's front end does; returns how many messages of each kind came."""
    message_id = kernel.client.execute(code, allow_stdin=True)
    kinds: Counter[str] = Counter()
    while True:
        message = kernel.client.get_iopub_msg(timeout=timeout_s)
        kinds[message["msg_type"]] += 1
        if message["msg_type"] == "error":
            pytest.fail("\n".join(message["content"]["traceback"]))
        is_mine = message["parent_header"].get("msg_id") == message_id
        if is_mine and message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
            break
    kernel.client.get_shell_msg(timeout=timeout_s)
    return kinds


@pytest.mark.slow
def test_futures_displayed_one_after_another_leave_no_memory_and_no_comm(kernel: Kernel) -> None:
    kernel.run(ECHO).check()
    run_watched(kernel, "display(echo(0))")
    run_watched(kernel, SETTLED)
    start_bytes = kernel.process.memory_info().rss
    kinds = run_watched(kernel, f"for n in range({MANY}):\n    each = echo(n)\n    display(each)")
    kinds += run_watched(kernel, SETTLED)
    assert kinds["display_data"] >= MANY
    assert kinds["comm_open"] > 0, "none of them was shown live: the test would prove nothing"
    run_watched(kernel, "del each\n%flame_runner stop")
    comms = int(kernel.run("import gc; gc.collect()\n" + COMMS).text)
    assert comms <= 2 * SHELF_VIEWS, "the last ones stay for pages that are loaded again; each has a layout"
    grown = kernel.process.memory_info().rss - start_bytes
    assert grown < ALLOWED_BYTES, f"{grown / 1e6:.1f} MB are left"


BIG = "%%flame_service big --quiet\ndef big(n):\n    return bytes([n % 256]) * 20_000_000"
HELD = """
import sys, time
from flamepy.engine.current import current_engine
budget, deadline = current_engine().objects.budget, time.monotonic() + 60
while budget.in_memory_bytes > {limit} and time.monotonic() < deadline:
    time.sleep(0.05)
print(budget.in_memory_bytes)
"""
ALLOWED_BIG_BYTES = 100_000_000


def test_displayed_results_do_not_stay_in_memory_neither_below_loops_nor_in_out(kernel: Kernel) -> None:
    """20 results of 20 MB: half of them displayed by a loop, half of them the last line of a cell."""
    kernel.run(BIG).check()
    run_watched(kernel, "display(big(0))")
    run_watched(kernel, SETTLED)
    start_bytes = kernel.process.memory_info().rss
    run_watched(kernel, "for n in range(10):\n    display(big(n))")
    run_watched(kernel, SETTLED)
    assert int(kernel.run(HELD.format(limit=0)).text) == 0
    for n in range(10):
        run_watched(kernel, f"first = big({n})\nfirst" if n == 0 else f"big({n})")
    run_watched(kernel, SETTLED)
    held = int(kernel.run(HELD.format(limit=80_001_000)).text)
    assert held <= 80_001_000, "three results that are recent, and one that has a name"
    grown = kernel.process.memory_info().rss - start_bytes
    assert grown < ALLOWED_BIG_BYTES, f"{grown / 1e6:.1f} MB more"
    reached = kernel.run("print([each.get() == bytes([n]) * 20_000_000 for n, each in enumerate(Out.values())])")
    assert reached.text.strip() == str([True] * 10)


LOUD = """%%flame_service loud --quiet
def loud():
    class Loud:
        def __repr__(self):
            import sys, warnings
            warnings.warn("soon gone", FutureWarning)
            print("into a cell", flush=True)
            print("of the user", file=sys.stderr, flush=True)
            return "loud"
    return Loud()
"""


@pytest.mark.parametrize("before", ["", "future.wait()"], ids=["shown while it runs", "shown when it has ended"])
def test_what_a_representation_prints_or_warns_of_goes_into_no_cell(kernel: Kernel, before: str) -> None:
    kernel.run(LOUD).check()
    message_id = kernel.client.execute(f"future = loud()\n{before}\ndisplay(future)", allow_stdin=True)
    streams = []
    is_shown = False
    while not is_shown:
        message = kernel.client.get_iopub_msg(timeout=60)
        if message["msg_type"] == "stream":
            streams.append((message["parent_header"].get("msg_id"), message["content"]["text"]))
        shown = message["content"].get("data", {}).get("text/plain", "")
        is_shown = shown.endswith("loud")  # at once, or by an update
    assert not [text for cell, text in streams if cell == message_id]
    assert any("into a cell" in text for _, text in streams), "else the test proves nothing"


def test_two_hundred_futures_that_run_at_once_stay_within_the_budget_of_messages(kernel: Kernel) -> None:
    kernel.run("%%flame_service nap --quiet\ndef nap(n):\n    import time\n    time.sleep(0.01)\n    return n").check()
    kinds = run_watched(kernel, "for n in range(200):\n    display(nap(n))")
    kinds += run_watched(kernel, SETTLED)
    # shown live: two displays, two comms, an update or two of the state, the end, and the two that settle it
    assert kinds["comm_open"] <= 2 * 50
    assert kinds["display_data"] <= 200 + 50
    assert kinds["comm_msg"] <= 50 * 5
    assert kinds["update_display_data"] <= 200 * 4
