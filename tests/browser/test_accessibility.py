# SPDX-License-Identifier: Apache-2.0
"""Axe on what we put into the page, in light and dark; what is announced; motion and contrast."""

from __future__ import annotations

import itertools
import re

import pytest
from playwright.sync_api import expect

from tests.browser.support.lab import THEMES, Lab
from tests.browser.support.notebooks import FRAME, TABLE, Notebook
from tests.browser.support.pages import violations
from tests.signs import reached


@pytest.mark.slow
def test_axe_finds_nothing_in_either_theme(lab: Lab, notebook: Notebook) -> None:
    notebook.open(
        TABLE,
        FRAME,
        "import flame_jupyter\n%flame_runner",
        "running = train(0.3)\nrunning",
        "table(3)",
        "failed = train(-1)\nfailed",
        "flame_jupyter.progress([running, table(2)])",
        "flame_jupyter.inspect(load(45))",
        "waiting = table(running)\nwaiting",
    )
    notebook.release(-1)
    lab.page.set_viewport_size({"width": 1180, "height": 3200})
    lab.run_all()
    expect(lab.page.get_by_role("group", name="Inspector of load(45)")).to_contain_text("Rows 1 to 20 of 45.")
    expect(lab.page.get_by_role("progressbar", name="train")).to_be_visible()
    expect(lab.page.locator(".flame-view")).to_have_count(2)
    expect(lab.page.locator(".flame-word").last).to_have_text(re.compile(r"^Waiting for train #\d+$"))
    lab.picture("waiting", 10)
    for theme in THEMES:
        lab.set_theme(theme)
        lab.screenshot("axe-" + theme.split()[1].lower())
        assert violations(lab.page) == []
    lab.picture("dark", 5, 6)
    notebook.release(0.3)


LISTEN = """() => {
    window.heard = [];
    new MutationObserver((records) => {
        for (const { target } of records) {
            const region = (target.closest ? target : target.parentElement).closest(".flame-view [role=status]");
            if (region) window.heard.push([performance.now() / 1000, region.textContent]);
        }
    }).observe(document.body, { childList: true, characterData: true, subtree: true });
}"""


def _ends_heard(lab: Lab) -> list[tuple[float, str, int]]:
    """The sentences that tell of ends: when each was heard, in seconds, its text, and of how many calls."""
    found = []
    for at_s, text in lab.page.evaluate("() => window.heard"):
        finished = re.match(r"(\d+) calls? finished", text)
        if finished or not re.search("running", text, re.IGNORECASE):
            found.append((at_s, text, int(finished[1]) if finished else 1))
    return found


def test_a_screen_reader_hears_changes_of_state_alone_and_many_ends_in_one_sentence(
    lab: Lab, notebook: Notebook
) -> None:
    """At most one announcement in two seconds when many finish"""
    cells = ["first = train(0.6)\nfirst", "for rate in (1, 2, 3, 4, -5):\n    display(train(rate))"]
    notebook.open(*cells, in_new_kernel=True)  # for what one says has to wait for what was said before
    lab.run_cell(0, 1)
    lab.page.evaluate(LISTEN)
    lab.run_cell(2)
    view = lab.page.get_by_role("group", name="Flame call train number")
    expect(view).to_contain_text("Output, 3 lines")
    before = view.locator(".flame-time").inner_text()
    expect(view.locator(".flame-time")).not_to_have_text(before)  # time passes in silence
    notebook.release(0.6)
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    sentences = [text for _, text in lab.page.evaluate("() => window.heard.splice(0)")]
    assert sentences[-1].startswith("train number 1: Done in ")
    assert sentences[:-1] in ([], ["train number 1: Running"])
    lab.run_cell(3)
    for rate in (1, 2, 3, 4, -5):
        notebook.release(rate)
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    assert reached(lambda: sum(number for _, _, number in _ends_heard(lab)) >= 5)
    assert sum(number for _, _, number in _ends_heard(lab)) == 5, _ends_heard(lab)
    ends = [(at_s, text) for at_s, text, _ in _ends_heard(lab)]
    assert len([text for _, text in ends if "1 failed" in text or "Failed after" in text]) == 1
    assert all(later - earlier > 1 for (earlier, _), (later, _) in itertools.pairwise(ends)), ends


def test_nothing_moves_for_those_who_asked_for_that_and_edges_stay_in_forced_colours(
    lab: Lab, notebook: Notebook
) -> None:
    notebook.open("future = train(0.7)\nfuture")
    lab.run_cell(0, 1, 2)
    icon, view = lab.page.locator(".flame-icon"), lab.page.locator(".flame-view")
    expect(view).to_have_attribute("data-state", "running")
    lab.page.emulate_media(reduced_motion="no-preference")
    assert icon.evaluate("node => getComputedStyle(node).animationName") == "flame-pulse"
    lab.page.emulate_media(reduced_motion="reduce")
    assert icon.evaluate("node => getComputedStyle(node).animationName") == "none"
    lab.page.emulate_media(forced_colors="active")
    assert view.evaluate("node => getComputedStyle(node).borderLeftStyle") == "solid"
    assert lab.page.get_by_role("button", name="Cancel").evaluate("n => getComputedStyle(n).borderTopWidth") == "1px"
    lab.page.emulate_media(forced_colors="none")
    notebook.release(0.7)
    expect(view).to_have_count(0)


@pytest.mark.notebook_7
def test_all_outputs_of_ours_begin_where_printed_text_begins(lab: Lab, notebook: Notebook) -> None:
    notebook.open("print('text')\nfuture = train(0.8)\nfuture", "%flame_runner")
    lab.run_cell(0, 1, 2, 3)
    left = (
        "node => { const r = document.createRange(); r.selectNodeContents(node); return r.getBoundingClientRect().x; }"
    )
    printed = lab.outputs(2).first.locator("pre").evaluate(left)
    live = lab.page.locator(".flame-view").evaluate("node => node.getBoundingClientRect().x")
    caption = lab.outputs(2).nth(1).locator("code").evaluate(left)
    panel = lab.page.locator(".flame-pane .flame-bar").evaluate("node => node.getBoundingClientRect().x")
    notebook.release(0.8)
    expect(lab.page.locator(".flame-view")).to_have_count(0)
    settled = lab.outputs(2).nth(2).locator("[role=group]").first.locator("div").first
    static = settled.evaluate("node => node.getBoundingClientRect().x")
    assert max(abs(x - printed) for x in (live, caption, panel, static)) <= 1
