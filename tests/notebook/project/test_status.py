# SPDX-License-Identifier: Apache-2.0
"""How many workers are busy, and what is left when the kernel ends."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flame_jupyter.display.render.bundles import WIDGET_VIEW
from flame_jupyter.reports.status_panel import panel_of
from flame_jupyter.service.runner_status import Workers
from flamepy import WorkerView
from tests.notebook.kernels import Kernel
from tests.notebook.shells import Shell

WAIT_S = 30.0


def worker(state: str, session_id: str | None = None) -> WorkerView:
    return WorkerView(1, 4711, "demo", session_id, None, state)


@pytest.mark.parametrize(
    ("views", "text"),
    [
        ([], "2 workers, idle"),
        ([worker("busy"), worker("idle")], "1 of 2 workers busy"),
        ([worker("busy"), worker("waiting"), worker("busy")], "2 of 2 workers busy"),
        ([worker("idle", "counter-a1b2")], "2 workers, idle; 1 object, none busy"),
        ([worker("busy"), worker("busy", "a"), worker("idle", "b")], "1 of 2 workers busy; 2 objects, 1 busy"),
    ],
)
def test_the_engine_is_told_by_its_workers_and_objects(views: list[WorkerView], text: str) -> None:
    assert Workers.of(2, views).text() == text


def test_the_drift_of_the_old_package_is_gone_as_soon_as_there_is_a_new_one(shell: Shell, project: Path) -> None:
    (project / "helper.py").write_text("ANSWER = 1\n")
    shell.run("%flame_runner start --workers 2")
    (project / "helper.py").write_text("ANSWER = 3\n")
    later = panel_of(shell.ip.magics_manager.registry["FlameMagics"].notebook)
    assert "changed since: helper.py" in later.content(now_s=1051.0).text
    shell.run("%flame_runner restart")
    assert "changed since" not in later.content(now_s=1051.1).text
    assert "Engine: embedded, 2 workers, idle" in later.content(now_s=1051.1).text


@pytest.mark.parametrize("cell", ["%flame_runner restart", "%%flame_service step0\ndef step0():\n    return {}"])
def test_a_service_and_the_one_that_replaces_it_are_never_shown_side_by_side(shell: Shell, cell: str) -> None:
    for number in range(6):
        shell.run(f"%%flame_service step{number}\ndef step{number}():\n    return {number}")
    notebook = shell.ip.magics_manager.registry["FlameMagics"].notebook
    seen: list[tuple[str, ...]] = []
    has_ended = threading.Event()

    def look() -> None:
        while not has_ended.wait(0.001):
            shown = notebook.status().services.services
            seen.append(tuple(each.name for each in shown if not each.is_draining))

    looking = threading.Thread(target=look)
    looking.start()
    for turn in range(10):
        shell.run(cell.format(turn + 1))
    has_ended.set()
    looking.join()
    assert set(seen) == {tuple(f"step{number}" for number in range(6))}


def test_objects_that_a_class_was_called_for_are_counted_and_named(shell: Shell) -> None:
    shell.run(
        "%%flame_service Counter\nclass Counter:\n    def __init__(self, n=0):\n        self.n = n\n"
        "    def add(self, k):\n        self.n += k\n        return self.n"
    )
    shell.run("ten, twenty = Counter(10), Counter(20)\n[each.add(1).get() for each in (ten, twenty, ten)]")
    later = panel_of(shell.ip.magics_manager.registry["FlameMagics"].notebook)
    assert "Calls: 3 done" in later.content(now_s=1051.0).text
    table = repr(shell.ip.magics_manager.registry["FlameMagics"].notebook.status().services)
    assert re.search(r"^Counter +class +.*opens at the first call$", table, re.MULTILINE), table
    assert re.search(r"^Counter +2 objects +0 +0 +3 +0 +0$", table, re.MULTILINE), table
    shell.run("del twenty; twenty_one = Counter.add(1).get()")
    assert "Calls: 4 done" in later.content(now_s=1052.0).text


@pytest.mark.kernel
def test_when_the_kernel_ends_the_panel_and_the_pending_call_are_left_static(
    start_kernel: Callable[[], Kernel],
) -> None:
    """Best effort, for a page that outlives its kernel"""
    kernel = start_kernel()
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run("%%flame_service stuck\nimport threading\ndef stuck():\n    threading.Event().wait()").check()
    kernel.run("call = stuck()").check()
    live: list[str] = []

    def is_second_live_output(message: dict[str, object]) -> bool:
        content: dict[str, dict[str, object]] = message["content"]  # type: ignore[assignment]
        if message["msg_type"] in ("display_data", "update_display_data") and WIDGET_VIEW in content["data"]:
            live.append(str(content["transient"]["display_id"]))
        return len(live) == 2

    kernel.begin("display(call, get_ipython().run_line_magic('flame_runner', ''))", is_person=True)
    kernel.until(is_second_live_output)
    kernel.note_processes()
    kernel.client.shutdown()
    left: dict[str, dict[str, str]] = {}

    def is_last_update(message: dict[str, object]) -> bool:
        content: dict[str, dict[str, object]] = message["content"]  # type: ignore[assignment]
        if message["msg_type"] == "update_display_data":
            left[str(content["transient"]["display_id"])] = content["data"]  # type: ignore[assignment]
        return all(each in left and WIDGET_VIEW not in left[each] for each in live)

    kernel.until(is_last_update, timeout_s=WAIT_S)
    call, panel = (left[each]["text/plain"] for each in live)
    assert call.startswith("stuck() #1: the kernel has gone")
    assert "Engine: embedded, 1 of " in panel
