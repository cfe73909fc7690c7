# SPDX-License-Identifier: Apache-2.0
"""Views end on every page that shows them: loaded again, opened later, inside an Output; and without their kernel."""

from __future__ import annotations

import os
import re
import signal
import time

import pytest
from playwright.sync_api import Locator, expect

from tests.browser.support.lab import Lab
from tests.browser.support.notebooks import Notebook

PROGRESS = "import flame_jupyter\nflame_jupyter.progress([train(0.2), train(0.3)])"
OUTPUT = """from ipywidgets import Output, Tab
import flame_jupyter
first, second = Output(), Output()
with first:
    display(train(0.1))
with second:
    flame_jupyter.progress([train(0.2)])
Tab([first, second])
"""
TALK = """%%flame_service talk
def talk():
    import time
    for number in range(6000):
        print(number, flush=True)
        time.sleep(0.1)
"""


def view_of(lab: Lab, index: int) -> Locator:
    """The view of the call that this cell displays."""
    group = lab.page.locator(".jp-CodeCell").nth(index).get_by_role("group", name="Flame call train number")
    return group.locator("visible=true").first


@pytest.mark.notebook_7
def test_a_page_that_is_loaded_again_shows_the_end_and_so_does_one_that_is_opened_afterwards(
    lab: Lab, notebook: Notebook
) -> None:
    notebook.open("train(0.1)", PROGRESS)
    lab.run_cell(0, 1, 2, 3)
    pane = lab.page.get_by_role("group", name="Progress of 2 calls")
    expect(pane).to_contain_text("0 of 2")
    lab.save()
    lab.load_again()
    expect(view_of(lab, 2).locator(".flame-word")).to_have_text("Running")
    for rate in (0.1, 0.2, 0.3):
        notebook.release(rate)
    _assert_shows_the_ends(lab, pane.first)  # loaded while they ran
    lab.save()
    lab.open_again()
    _assert_shows_the_ends(lab, pane.first)  # opened when they had ended


def _assert_shows_the_ends(lab: Lab, pane: Locator) -> None:
    expect(view_of(lab, 2).locator(".flame-word")).to_have_text("Done")
    expect(view_of(lab, 2)).to_contain_text("'accuracy': 0.93")
    expect(pane).to_contain_text("All ended in")
    for index in (2, 3):
        expect(lab.outputs(index).first.locator(".flame-pending")).to_be_hidden()


def test_a_view_inside_an_output_or_captured_shows_the_end(lab: Lab, notebook: Notebook) -> None:
    notebook.open(OUTPUT, "%%capture captured\ntrain(0.3)", "captured.show()")
    lab.run_cell(0, 1, 2, 3)
    for rate in (0.1, 0.2, 0.3):
        notebook.release(rate)
    inside = lab.page.locator(".jp-CodeCell").nth(2)
    expect(inside.locator(".flame-word")).to_have_text("Done")
    expect(inside.locator(".flame-pending").first).to_be_hidden()
    inside.get_by_role("tab").nth(1).click()
    expect(inside).to_contain_text("All ended in")
    lab.run_cell(4)
    shown = lab.page.locator(".jp-CodeCell").nth(4)
    expect(shown.locator(".flame-word")).to_have_text("Done")
    expect(shown.locator(".flame-pending")).to_be_hidden()


def test_no_view_counts_on_while_the_kernel_is_stopped_and_a_call_took_what_its_worker_says(
    lab: Lab, notebook: Notebook
) -> None:
    """As with the lid of a laptop: the worker goes on here, which makes the difference seen."""
    notebook.open("import os; os.getpid()", "train(0.1)", "train(0.2)")
    lab.run_cell(0, 1, 2, 3, 4)
    pid = int(lab.outputs(2).first.inner_text())
    first, second = view_of(lab, 3), view_of(lab, 4)
    expect(first).to_contain_text("Output, 3 lines")
    notebook.release(0.1)
    began_s = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        for view in (first, second):
            expect(view.locator(".flame-facts")).to_have_text("and no word from the kernel since then", timeout=30_000)
        times = [view.locator(".flame-time").inner_text() for view in (first, second)]
        lab.page.wait_for_timeout(1500)  # a clock that went on would show another second
        assert [view.locator(".flame-time").inner_text() for view in (first, second)] == times
        stopped_s = time.monotonic() - began_s
    finally:
        os.kill(pid, signal.SIGCONT)
    expect(second.locator(".flame-facts")).to_be_hidden()
    notebook.release(0.2)
    for view in (first, second):
        expect(view.locator(".flame-word")).to_have_text("Done")
    took = re.search(r"in ([\d.]+) (m?s)\b", " ".join(first.inner_text().split()))
    assert took, first.inner_text()
    assert float(took[1]) / (1000 if took[2] == "ms" else 1) < stopped_s


@pytest.mark.parametrize("way", ["restart", "shutdown", "kill"])
def test_when_the_kernel_goes_its_views_say_so_and_nothing_counts_on(lab: Lab, notebook: Notebook, way: str) -> None:
    notebook.open("train(0.1)", PROGRESS, "%flame_runner", "import os; os.kill(os.getpid(), 9)")
    lab.run_cell(0, 1, 2, 3, 4)
    expect(view_of(lab, 2).locator(".flame-word")).to_have_text("Running")
    ways = {"restart": lab.restart_kernel, "shutdown": lab.shut_kernel_down, "kill": lambda: lab.start_cell(5)}
    ways[way]()
    # what is said to screen readers alone does not count
    seen = lab.page.get_by_text("The kernel has gone").and_(lab.page.locator(":not(.flame-said)"))
    words = seen.locator("visible=true")
    expect(words).to_have_count(3, timeout=60_000)
    before = lab.outputs(2).all_inner_texts()
    assert "after" in before[1]
    expect(lab.page.get_by_role("button", name="Cancel").locator("visible=true")).to_have_count(0)
    lab.page.wait_for_timeout(1_000)  # nothing is waited for: that nothing happens is seen
    assert lab.outputs(2).all_inner_texts() == before
    lab.screenshot(f"gone-{way}", lab.page.locator(".jp-Notebook"))
    if way == "kill":
        lab.page.get_by_role("dialog", name="Kernel Restarting").get_by_role("button").click()


def test_a_button_stays_pressed_while_the_kernel_is_busy(lab: Lab, notebook: Notebook) -> None:
    """The call prints meanwhile, so its view is drawn again by a kernel that knows nothing of the button."""
    busy = f"import os, time\nwhile not os.path.exists('{notebook.releases}/busy'):\n    time.sleep(0.05)"
    notebook.open(TALK, "talk()", busy)
    lab.run_cell(0, 1, 2, 3)
    lab.start_cell(4)
    view = lab.page.get_by_role("group", name="Flame call talk number")
    button = view.get_by_role("button")
    button.click()
    printed = view.locator(".flame-log pre").inner_text()
    expect(view.locator(".flame-log pre")).not_to_have_text(printed)
    expect(button).to_have_text("Cancelling")
    expect(button).to_be_disabled()
    notebook.release("busy")
    expect(lab.outputs(3).nth(1)).to_contain_text("Cancelled after", timeout=60_000)
