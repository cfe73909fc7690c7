# SPDX-License-Identifier: Apache-2.0
"""Progress, the status panel and the result inspector, as a person uses them: by mouse and by keyboard."""

from __future__ import annotations

import re

import nbformat
import pytest
from playwright.sync_api import expect

from flame_jupyter.display.render.bundles import WIDGET_VIEW
from tests.browser.support.lab import THEMES, Lab
from tests.browser.support.notebooks import FRAME, ROWS, Notebook, displays
from tests.browser.support.pages import violations

SCORE = """%%flame_service score
def score(part):
    import time
    time.sleep(0.02)
    if part == 13:
        raise ValueError("part 13 has no rows")
    return part * part
"""


def static_text(cell: nbformat.NotebookNode) -> str:
    """What a reader without widgets sees of a saved cell; nothing in it may be a widget."""
    shown = displays(cell)
    assert all(WIDGET_VIEW not in display for display in shown)
    return "\n".join(display["text/plain"] for display in shown)


@pytest.mark.notebook_7
def test_progress_counts_shows_the_first_error_at_once_and_ends_static(lab: Lab, notebook: Notebook) -> None:
    notebook.open(
        SCORE,
        "import flame_jupyter\nheld = [train(0.1)]\nparts = [score(n) for n in range(49)]\n"
        "flame_jupyter.progress(held + parts)",
    )
    lab.run_cell(0, 1, 2, 3)
    pane = lab.page.get_by_role("group", name="Progress of 50 calls")
    expect(pane.get_by_role("progressbar", name="train")).to_be_visible()
    expect(pane.get_by_role("status")).to_have_text(
        re.compile(r"^First error: score\(13\) #\d+: ValueError: part 13 has no rows$")
    )
    bar = pane.get_by_role("progressbar", name="score")
    expect(bar).to_have_attribute("aria-valuenow", "49")
    expect(bar).to_have_attribute("aria-valuetext", "49 of 49 ended, 48 done, 1 failed")
    lab.picture("progress-50", 3)
    notebook.release(0.1)
    expect(lab.page.locator(".flame-pane")).to_have_count(0)
    expect(lab.outputs(3).nth(1)).to_contain_text("All ended in")
    lab.picture("progress-done", 3)
    text = static_text(lab.save().cells[3])
    assert "Progress of 50 calls" in text
    assert "score: 49 of 49 ended (48 done, 1 failed)" in text
    assert "pending" not in text


def test_cancel_all_ends_what_has_not_ended(lab: Lab, notebook: Notebook) -> None:
    notebook.open("import flame_jupyter\nflame_jupyter.progress([train(n) for n in (5, 6, 7)])")
    lab.run_cell(0, 1, 2)
    button = lab.page.get_by_role("button", name="Cancel all")
    button.focus()
    button.press("Enter")
    expect(lab.outputs(2).nth(1)).to_contain_text("3 cancelled")
    expect(lab.page.locator(".flame-pane")).to_have_count(0)


@pytest.mark.notebook_7
def test_the_panel_follows_the_runner_and_is_static_after_stop(lab: Lab, notebook: Notebook) -> None:
    notebook.open("%flame_runner", "future = train(0.1)\nfuture", "%flame_runner stop")
    lab.run_cell(0, 1, 2, 3)
    panel = lab.page.get_by_role("group", name=f"Flame Runner {lab.name}", exact=False)
    engine = panel.get_by_role("row", name=re.compile("^Engine"))
    expect(engine).to_contain_text(re.compile(r"embedded, 1 of \d+ workers? busy"))
    expect(panel.get_by_role("rowheader", name="train")).to_be_visible()
    box = panel.bounding_box()
    assert box is not None
    assert box["height"] <= 180
    lab.picture("panel", 2)
    notebook.release(0.1)
    expect(panel).to_contain_text("1 done")
    expect(engine).to_contain_text("idle")
    button = panel.get_by_role("button", name="Stop")
    button.focus()
    button.press("Enter")
    expect(lab.page.locator(".flame-pane")).to_have_count(0)
    expect(lab.outputs(2).nth(1)).to_contain_text("closed at")
    assert "State: closed at" in static_text(lab.save().cells[2])
    lab.run_cell(4)
    expect(lab.outputs(4)).to_contain_text("no Runner is open")


def test_a_panel_of_many_services_is_folded_and_re_package_takes_in_an_edited_file(
    lab: Lab, notebook: Notebook
) -> None:
    """At most 180 px tall when collapsed; the drift flag and the Re-package button"""
    helper = lab.server.directory / "panel_helper.py"
    helper.write_text("ANSWER = 1\n")
    ask = "%%flame_service ask\ndef ask():\n    import panel_helper\n    return panel_helper.ANSWER"
    steps = [f"%%flame_service step{number}\ndef step{number}():\n    return {number}" for number in range(3)]
    lab.page.set_viewport_size({"width": 1180, "height": 1800})
    notebook.open(ask, *steps, "ask().get()", "%flame_runner", "ask().get()")
    lab.run_cell(0, 1, 2, 3, 4, 5, 6)
    expect(lab.outputs(6)).to_have_text("1")
    helper.write_text("ANSWER = 28\n")
    lab.run_cell(7)
    panel = lab.page.get_by_role("group", name=f"Flame Runner {lab.name}", exact=False)
    package = panel.get_by_role("row", name=re.compile("^Package"))
    expect(lab.page.locator(".flame-pane")).to_be_visible()
    expect(package).to_contain_text("changed since: panel_helper.py")
    box = lab.page.locator(".flame-pane").bounding_box()
    assert box is not None
    assert box["height"] <= 180
    lab.screenshot("panel-folded", lab.page.locator(".jp-Notebook"))
    row = panel.get_by_role("rowheader", name="step2")
    expect(row).to_be_hidden()
    panel.get_by_text("5 services").press("Enter")
    expect(row).to_be_visible()
    assert violations(lab.page) == []
    button = panel.get_by_role("button", name="Re-package")
    button.focus()
    button.press("Enter")
    expect(package).not_to_contain_text("changed since", timeout=30_000)
    expect(button).to_be_focused()
    expect(row).to_be_visible()
    lab.screenshot("panel-unfolded", lab.page.locator(".jp-Notebook"))
    lab.run_cell(8)
    expect(lab.outputs(8)).to_have_text("28")
    helper.unlink()


def test_a_stream_is_counted_while_a_cell_takes_its_parts_and_ends_static(lab: Lab, notebook: Notebook) -> None:
    """A live view that counts"""
    notebook.open(
        ROWS.replace("{RELEASES}", str(notebook.releases)),
        "stream = rows(3)\nstream",
        "for part in stream:\n    print(part.get())",
        "unread = rows(9)\nunread",
    )
    lab.run_cell(0, 1, 2, 3)
    pane = lab.page.get_by_role("group", name="Stream rows #", exact=False).last
    expect(pane).to_contain_text("0 parts taken until")
    expect(pane.get_by_role("button", name="Stop")).to_be_visible()
    lab.start_cell(4)
    notebook.release("part0")
    expect(pane).to_contain_text("1 part taken until")
    notebook.release("part1")
    expect(pane).to_contain_text("2 parts taken until")
    for theme in reversed(THEMES):
        lab.set_theme(theme)
        lab.screenshot("stream-" + theme.split()[1].lower(), lab.page.locator(".jp-Notebook"))
        assert violations(lab.page) == []
    notebook.release("part2")
    expect(lab.page.locator(".flame-pane")).to_have_count(0)
    expect(lab.outputs(4)).to_have_text("0\n1\n2\n")
    text = static_text(lab.save().cells[3])
    assert text.endswith("ended after 3 parts")
    assert "taken until" not in text
    lab.run_cell(5)
    button = lab.page.locator(".flame-pane").get_by_role("button", name="Stop")
    button.focus()
    button.press("Enter")
    expect(lab.page.locator(".flame-pane")).to_have_count(0)
    expect(lab.outputs(5).last).to_contain_text("closed after 0 parts")


def test_the_inspector_turns_pages_that_a_worker_cuts_and_stays_until_it_is_closed(
    lab: Lab, notebook: Notebook
) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.server.url)
    lab.page.set_viewport_size({"width": 1180, "height": 1400})
    notebook.open(
        FRAME,
        "import flame_jupyter, sys\nframe = load(45)\nframe.wait()\n"
        "inspector = flame_jupyter.inspect(frame)\ninspector",
        "'pandas' in sys.modules",
        "len(inspector.value)",
        in_new_kernel=True,
    )
    lab.run_cell(0, 1, 2, 3)
    pane = lab.page.get_by_role("group", name="Inspector of load(45) #")
    expect(pane).to_contain_text("Rows 1 to 20 of 45.")
    lab.picture("inspector", 3)
    following = pane.get_by_role("button", name="Next rows")
    following.focus()
    following.press("Enter")
    expect(pane).to_contain_text("Rows 21 to 40 of 45.")
    expect(pane.get_by_role("cell", name="S0020")).to_be_visible()
    expect(following).to_be_focused()
    lab.run_cell(4)
    expect(lab.outputs(4)).to_have_text("False")  # the kernel has read nothing
    pane.get_by_role("tab", name="Value").click()
    expect(pane.get_by_role("tab", name="Value")).to_be_focused()
    pane.get_by_role("tab", name="Value").press("ArrowRight")
    expect(pane.get_by_role("tab", name="Text")).to_have_attribute("aria-selected", "true")
    expect(pane.get_by_role("tab", name="Text")).to_be_focused()
    pane.get_by_role("tab", name="Text").press("ArrowRight")
    expect(pane.get_by_role("tabpanel", name="Output, 1 line")).to_contain_text("loading 45 rows")
    pane.get_by_role("tab", name="Output, 1 line").press("ArrowRight")
    expect(pane.get_by_role("tabpanel", name="Details")).to_contain_text("Session")
    copy = pane.get_by_role("button", name="Copy reference")
    copy.focus()
    copy.press("Enter")
    expect(pane.get_by_role("status")).to_have_text("Reference copied")
    expect(copy).to_be_focused()
    assert "flamepy.get_object(flamepy.ObjectRef(" in lab.page.evaluate("() => navigator.clipboard.readText()")
    pane.get_by_role("button", name="Load full value").click()
    expect(pane).to_contain_text("The full value is loaded")
    lab.run_cell(5)
    expect(lab.outputs(5)).to_have_text("45")
    pane.get_by_role("button", name="Close").click()
    expect(lab.page.locator(".flame-pane")).to_have_count(0)
    assert re.search(r"load\(45\) #\d+: done in", static_text(lab.save().cells[3]))


def test_the_inspector_of_a_failed_call_begins_with_its_traceback(lab: Lab, notebook: Notebook) -> None:
    notebook.open(SCORE, "import flame_jupyter\nflame_jupyter.inspect(score(13))")
    lab.run_cell(0, 1, 2, 3)
    pane = lab.page.get_by_role("group", name="Inspector of score(13) #")
    expect(pane.get_by_role("tab", name="Traceback")).to_have_attribute("aria-selected", "true")
    place = f"Cell In[{lab.execution_count(2)}], line 6, in score"
    expect(pane.get_by_role("tabpanel", name="Traceback")).to_contain_text(place)
