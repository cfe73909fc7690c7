# SPDX-License-Identifier: Apache-2.0
"""The live view of a future in JupyterLab: it moves, it can be cancelled, it becomes static and stays readable."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import expect

from flame_jupyter.display.render.bundles import WIDGET_VIEW
from tests.browser.support.lab import THEMES, Lab
from tests.browser.support.notebooks import REPORT, TABLE, Notebook, displays
from tests.browser.support.pages import violations


@pytest.mark.notebook_7
def test_a_live_view_moves_while_the_kernel_is_idle_and_becomes_static(lab: Lab, notebook: Notebook) -> None:
    notebook.open("future = train(0.1)\nfuture")
    lab.run_cell(0, 1, 2)
    view = lab.page.get_by_role("group", name="Flame call train number")
    expect(view.locator(".flame-word")).to_have_text("Running")
    before = view.locator(".flame-time").inner_text()
    expect(view.locator(".flame-time")).not_to_have_text(before)
    expect(view.get_by_role("button", name="Cancel")).to_be_visible()
    expect(lab.outputs(2).first.locator(".flame-pending")).to_be_hidden()
    lab.screenshot("live-running", lab.page.locator(".jp-Notebook"))
    lab.picture("running", 2)

    notebook.release(0.1)
    expect(view.locator(".flame-word")).to_have_text("Done")
    expect(view).to_contain_text("'accuracy': 0.93")
    lab.screenshot("live-done", lab.page.locator(".jp-Notebook"))

    expect(lab.page.locator(".flame-view")).to_have_count(0)
    expect(lab.outputs(2).nth(1)).to_contain_text("Done in")
    expect(lab.outputs(2).nth(1)).to_contain_text("Output, 3 lines")
    lab.screenshot("settled", lab.page.locator(".jp-Notebook"))

    saved = lab.save()
    caption, body = displays(saved.cells[2])
    assert WIDGET_VIEW not in caption | body
    assert "pending" not in str(caption) + str(body)
    assert "{'rate': 0.1, 'accuracy': 0.93}" in body["text/plain"]
    assert "epoch 2: loss 0.33" in body["text/html"]


def test_a_live_view_moves_while_another_cell_blocks_the_kernel(lab: Lab, notebook: Notebook) -> None:
    notebook.open("future = train(0.5)\nfuture", "future.get()['rate']")
    lab.run_cell(0, 1, 2)
    lab.start_cell(3)
    expect(lab.page.locator(".jp-CodeCell").nth(3).locator(".jp-InputPrompt")).to_have_text("[*]:")
    view = lab.page.get_by_role("group", name="Flame call train number")
    before = view.locator(".flame-time").inner_text()
    expect(view.locator(".flame-time")).not_to_have_text(before)
    notebook.release(0.5)
    expect(lab.outputs(3)).to_have_text("0.5")
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    expect(lab.outputs(2).nth(1)).to_contain_text("Done in")


@pytest.mark.notebook_7
def test_cancel_is_pressed_with_the_keyboard_while_the_kernel_is_idle(lab: Lab, notebook: Notebook) -> None:
    notebook.open("future = train(0.2)\nfuture", "future.cancelled()")
    lab.run_cell(0, 1, 2)
    button = lab.page.get_by_role("button", name="Cancel Flame call train number")
    button.focus()
    button.press("Enter")
    expect(lab.outputs(2).nth(1)).to_contain_text("Cancelled after")
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    lab.screenshot("cancelled", lab.page.locator(".jp-Notebook"))
    lab.run_cell(3)
    expect(lab.outputs(3)).to_have_text("True")


def test_a_failed_call_shows_its_error_and_the_line_of_the_cell(lab: Lab, notebook: Notebook) -> None:
    notebook.open("train(-1)")
    notebook.release(-1)
    lab.run_all()
    expect(lab.outputs(2).last).to_contain_text("ValueError: the learning rate must be positive, not -1")
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    expect(lab.outputs(2).last).to_contain_text(f"Cell In[{lab.execution_count(1)}], line 9, in train")
    lab.screenshot("failed", lab.page.locator(".jp-Notebook"))
    lab.picture("failed", 2)


def test_of_many_failed_calls_three_are_shown_in_full_and_one_line_counts_all(lab: Lab, notebook: Notebook) -> None:
    lab.page.set_viewport_size({"width": 1180, "height": 1800})
    notebook.open("for n in range(1, 9):\n    display(train(-n))")
    for number in range(1, 9):
        notebook.release(-number)
    lab.run_all()
    summary = lab.outputs(2).get_by_text("8 of 8 calls of this cell failed: 8 ValueError (first: train(-", exact=False)
    expect(summary).to_have_count(1, timeout=30_000)
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    places = lab.outputs(2).get_by_text(f"Cell In[{lab.execution_count(1)}], line 9, in train")
    expect(places).to_have_count(8)
    lab.picture("many-failed", 2)
    expect(places.locator("visible=true")).to_have_count(3)
    for theme in reversed(THEMES):
        lab.set_theme(theme)
        lab.screenshot("many-failed-" + theme.split()[1].lower(), lab.page.locator(".jp-Notebook"))
        assert violations(lab.page) == []
    lab.outputs(2).get_by_text("Traceback, output and details").first.press("Enter")
    expect(places.locator("visible=true")).to_have_count(4)


def test_tables_pictures_and_markdown_are_shown_as_such_in_both_themes(lab: Lab, notebook: Notebook) -> None:
    figure = (
        "%%flame_service picture\ndef picture():\n    import matplotlib.figure\n"
        "    figure = matplotlib.figure.Figure(figsize=(5, 2.4))\n"
        "    figure.add_subplot().plot([3, 1, 4, 1, 5])\n    return figure"
    )
    notebook.open(TABLE, figure, "table(3)", "picture()", "future = train(0.3)\nfuture", REPORT, "report()")
    lab.page.set_viewport_size({"width": 1180, "height": 2000})
    lab.run_all()
    expect(lab.outputs(4).last.locator("table.dataframe")).to_be_visible()
    expect(lab.outputs(5).last.get_by_role("img")).to_be_visible()
    report = lab.outputs(8).last
    expect(report.get_by_role("cell", name="0.93")).to_be_visible()
    expect(report.locator("mjx-container")).to_be_visible()
    expect(report).to_contain_text("and <b>no HTML</b>")
    expect(lab.page.locator(".flame-view")).to_have_count(1)
    lab.picture("done", 4, 5)
    for theme in reversed(THEMES):
        lab.set_theme(theme)
        lab.page.locator(".flame-view").scroll_into_view_if_needed()
        lab.screenshot("rich-" + theme.split()[1].lower())
        assert violations(lab.page) == []
    notebook.release(0.3)
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    body = displays(lab.save().cells[8])[-1]
    assert "<td>0.93</td>" in body["text/html"]
    assert "### Scores of **fit**" in body["text/plain"]


@pytest.mark.notebook_7
def test_a_notebook_that_was_saved_while_a_call_was_pending_still_reads(lab: Lab, notebook: Notebook) -> None:
    notebook.open("train(0.4)", "train(0.6)")
    notebook.release(0.6)
    lab.run_cell(0, 1, 2, 3)
    expect(lab.outputs(3).nth(1)).to_contain_text("Done in")
    expect(lab.page.locator(".flame-view")).to_have_count(1)
    saved = lab.save()
    assert "pending at" in displays(saved.cells[2])[0]["text/plain"]
    lab.restart_kernel()
    lab.open_again()
    expect(lab.outputs(2).first).to_contain_text("train(0.4)")
    expect(lab.outputs(2).first.locator(".flame-pending")).to_be_visible()
    expect(lab.outputs(3).nth(1)).to_contain_text("'accuracy': 0.93")
    error = lab.page.get_by_text("Error displaying widget")
    error.wait_for(state="attached")
    expect(error).to_be_hidden()
    lab.screenshot("pending-reopened", lab.page.locator(".jp-Notebook"))
    lab.picture("pending", 2)
    # Lab itself logs that the widget of the old kernel is gone; the page does not show it
    assert all("widget model not found" in error for error in lab.console_errors), lab.console_errors
    lab.console_errors.clear()


def test_the_first_notebook_of_the_project_runs_and_ends_static(lab: Lab) -> None:
    source = Path(__file__).parents[2] / "notebooks" / "quickstart.ipynb"
    lab.page.set_viewport_size({"width": 1180, "height": 4200})  # Lab draws only the cells that are in sight
    if not lab.show(nbformat.read(source, as_version=4).cells):
        lab.start_new_kernel()
    lab.run_all()
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    lab.screenshot("quickstart", lab.page.locator(".jp-Notebook"))
    lab.picture("quickstart", 0, 10, kind=".jp-Notebook .jp-Cell")  # of the README, down to the first value
    saved = lab.save()
    assert not any(WIDGET_VIEW in display for cell in saved.cells for display in _all_displays(cell))
    assert any("28" in str(cell.get("outputs")) for cell in saved.cells)


def _all_displays(cell: nbformat.NotebookNode) -> list[dict[str, str]]:
    return displays(cell) if cell.cell_type == "code" else []


@pytest.mark.notebook_7
def test_with_keep_widget_the_live_view_stays_and_the_saved_output_reads_beside_it(
    lab: Lab, notebook: Notebook
) -> None:
    lab.page.context.grant_permissions(["clipboard-read", "clipboard-write"], origin=lab.server.url)
    notebook.open(
        "%config FlameMagics.settle = 'keep-widget'",
        "future = train(0.9)\nfuture",
        "future.id",
        "",
        "%config FlameMagics.settle = 'static'",
    )
    lab.run_cell(0, 1, 2, 3)
    notebook.release(0.9)
    view = lab.page.get_by_role("group", name="Flame call train number")
    expect(view.locator(".flame-word")).to_have_text("Done")
    expect(view.get_by_role("button", name="Cancel")).to_have_count(0)
    button = view.get_by_role("button", name="Copy reference of Flame call train number")
    button.focus()
    button.press("Enter")
    expect(view.get_by_role("status")).to_have_text("Reference copied")
    expect(button).to_have_attribute("data-copied", "")
    expect(button).to_be_focused()
    lab.screenshot("kept", lab.page.locator(".jp-Notebook"))
    assert violations(lab.page) == []
    lab.run_cell(4)
    expect(lab.outputs(3).first).not_to_contain_text("pending")
    _, body = displays(lab.save().cells[3])
    assert WIDGET_VIEW in body
    assert "done in" in body["text/plain"]
    lab.write_cell(5, lab.page.evaluate("() => navigator.clipboard.readText()"))
    lab.run_cell(5, 6)
    expect(lab.outputs(5)).to_have_text("{'rate': 0.9, 'accuracy': 0.93}")


@pytest.mark.slow
def test_two_hundred_futures_at_once_leave_the_page_quick_and_all_become_final(lab: Lab, notebook: Notebook) -> None:
    """50 are live at one time; the others are static and say how they end."""
    notebook.open("futures = [train(n) for n in range(200)]\nfor each in futures:\n    display(each)")
    lab.run_cell(0, 1, 2)
    lab.page.evaluate(
        """() => {
            window.messages = 0;
            window.jupyterapp.shell.currentWidget.sessionContext.iopubMessage.connect(() => { window.messages += 1; });
        }"""
    )
    before_s = lab.processor_s()
    for number in range(200):
        notebook.release(number)
    lab.page.wait_for_function(
        "() => window.jupyterapp.shell.currentWidget.content.model.cells.get(2).outputs.toJSON()"
        ".filter(output => / #\\d+: done in /.test(output.data['text/plain'])).length === 200",
        timeout=60_000,
    )
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    # 200 ends: at most two states drawn and two outputs settled for the live ones, one a second for the others
    assert 200 < lab.page.evaluate("() => window.messages") < 200 * 12
    used_s = lab.processor_s() - before_s
    assert 0 < used_s < 200 * 0.02
