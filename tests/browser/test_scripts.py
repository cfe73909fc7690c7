# SPDX-License-Identifier: Apache-2.0
"""The browser's half of the widgets by itself: a page of Chromium, a model that the test moves, no kernel."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from flame_jupyter.display.widgets.code import (
    FUTURE_SCRIPT,
    FUTURE_STYLE,
    PAGE_SCRIPT,
    PAGE_STYLE,
)

# ``model`` has a view; ``elsewhere`` is a model of the same notebook whose cell has run again: nothing shows it.
HARNESS = """async ([script, state]) => {
  window.sent = [];
  const modelOf = (state, listeners) => ({
    get: (key) => state[key],
    set(key, value) { state[key] = value; for (const each of listeners["change:" + key] || []) each(); },
    save_changes() {},
    on(event, fn) { (listeners[event] ||= []).push(fn); },
    off(event, fn) { listeners[event] = (listeners[event] || []).filter((each) => each !== fn); },
    send: (message) => window.sent.push(message),
  });
  const listeners = {};
  window.model = modelOf(state, listeners);
  window.elsewhere = modelOf({ ...state }, {});
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  const { initialize, render } = (await import(url)).default;
  for (const model of [window.model, window.elsewhere]) initialize({ model });
  const before = Object.values(listeners).flat().length;
  window.leave = render({ model: window.model, el: document.body });
  window.listening = () => Object.values(listeners).flat().length - before;
}"""


class Drawn:
    """What a script has drawn on a page of its own."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def find(self, selector: str) -> Locator:
        return self.page.locator(selector)

    def set(self, key: str, value: Any) -> None:
        self.page.evaluate("([key, value]) => window.model.set(key, value)", [key, value])

    def sent(self) -> list[dict[str, str]]:
        return list(self.page.evaluate("window.sent"))


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 760, "height": 500})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.message))
    yield page
    assert errors == []
    context.close()


def a_view(**changes: Any) -> dict[str, Any]:
    """What the kernel sends of a call that runs, as call_content.view_of makes it."""
    now_s = time.time()
    view = {
        "ticks": True, "since": now_s, "now": now_s, "tone": "info", "state": "running", "icon": "●", "word": "Running",
        "time": "", "value": "", "facts": "", "error": "", "label": "Flame call f number 1",
        "buttons": [a_button("cancel", "Cancel", pressed="Cancelling", about="Flame call f number 1")],
    }  # fmt: skip
    return {**view, **changes}


def a_button(ask: str, text: str, **changes: Any) -> dict[str, Any]:
    return {
        "ask": ask,
        "text": text,
        "title": "",
        "is_enabled": True,
        "copies": "",
        "pressed": "",
        "about": "",
        **changes,
    }


def draw_view(page: Page, view: dict[str, Any], **state: Any) -> Drawn:
    whole = {"view": view, "log": "", "log_title": "", "body": "", "heard": [], "say": "", **state}
    page.set_content(f"<html lang=en><title>view</title><style>{FUTURE_STYLE}</style><body></body></html>")
    page.evaluate(HARNESS, [FUTURE_SCRIPT, whole])
    return Drawn(page)


def draw_output(page: Page, **state: Any) -> Drawn:
    facts = {"label": "Inspector", "status": "", "final": False, "buttons": []}
    whole = {"facts": {**facts, **state.pop("facts", {})}, "tabs": [], "heard": [], "gone": 0, **state}
    page.set_content(f"<html lang=en><title>output</title><style>{PAGE_STYLE}</style><body></body></html>")
    page.evaluate(HARNESS, [PAGE_SCRIPT, whole])
    return Drawn(page)


@pytest.mark.parametrize(
    ("passed_s", "shown"), [(3, r"^3\.\d s$"), (42, "^42 s$"), (75, "^1 min 1\\d s$"), (3725, "^1 h 2 min$")]
)
def test_elapsed_time_is_counted_on_the_page_in_units_that_people_read(page: Page, passed_s: int, shown: str) -> None:
    drawn = draw_view(page, a_view(since=time.time() - passed_s))
    expect(drawn.find(".flame-time")).to_have_text(re.compile(shown))


def test_what_the_kernel_says_of_any_call_lets_all_views_count_on_and_its_silence_none(page: Page) -> None:
    page.clock.install(time=time.time())
    drawn = draw_view(page, a_view())
    for _ in range(3):
        page.clock.run_for(8_000)
        page.evaluate("view => window.elsewhere.set('view', view)", a_view(word="Queued"))
    expect(drawn.find(".flame-time")).to_have_text("24 s")
    page.clock.run_for(9_000)
    expect(drawn.find(".flame-facts")).to_have_text("")
    page.clock.run_for(9_000)
    expect(drawn.find(".flame-facts")).to_have_text("and no word from the kernel since then")
    expect(drawn.find(".flame-time")).to_have_text("24 s")


def test_a_call_that_has_ended_shows_what_the_kernel_says_and_no_button(page: Page) -> None:
    drawn = draw_view(page, a_view())
    drawn.set("view", a_view(ticks=False, state="succeeded", word="Done", time="in 2.3 s", value="42", buttons=[]))
    assert drawn.find(".flame-line").inner_text().split() == ["●", "Done", "in", "2.3", "s", "→", "42"]
    expect(drawn.find("button:visible")).to_have_count(0)


def test_a_press_counts_until_the_kernel_has_heard_of_it_whatever_is_drawn_meanwhile(page: Page) -> None:
    drawn = draw_view(page, a_view())
    button = drawn.find("button:visible")
    button.click()
    (press,) = drawn.sent()
    assert press["ask"] == "cancel"
    drawn.set("view", a_view())  # of a kernel that does not know of it yet
    expect(button).to_have_text("Cancelling")
    expect(button).to_be_disabled()
    drawn.set("heard", [press["press"]])  # it could not be cancelled
    expect(button).to_have_text("Cancel")
    expect(button).to_be_enabled()


def test_a_button_is_named_after_what_it_belongs_to(page: Page) -> None:
    draw_view(page, a_view())
    expect(page.get_by_role("button", name="Cancel Flame call f number 1", exact=True)).to_be_visible()


def test_what_a_button_copies_is_copied_as_soon_as_it_is_there(page: Page) -> None:
    ended = {"ticks": False, "state": "succeeded"}
    drawn = draw_view(page, a_view(**ended, buttons=[a_button("reference", "Copy reference")]))
    page.evaluate("addEventListener('copy', () => { window.copied = document.activeElement.value; })")
    button = drawn.find("button:visible")
    button.click()
    drawn.set("heard", [drawn.sent()[0]["press"]])
    assert page.evaluate("window.copied ?? null") is None
    drawn.set("view", a_view(**ended, buttons=[a_button("reference", "Copy reference", copies="the code")]))
    expect(drawn.find("[role=status]")).to_have_text("Reference copied")
    assert page.evaluate("window.copied") == "the code"
    drawn.set("view", a_view(**ended, buttons=[a_button("reference", "Copy reference", copies="the code")]))
    page.evaluate("window.copied = ''")
    button.click()
    expect(button).to_have_attribute("data-copied", "")
    assert page.evaluate("window.copied") == "the code"
    assert len(drawn.sent()) == 1, "it is there already"


def test_drawing_again_keeps_the_focus_and_a_view_that_goes_listens_no_more(page: Page) -> None:
    drawn = draw_view(page, a_view())
    drawn.find("button:visible").focus()
    drawn.set("view", a_view(word="Fetching"))
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    assert page.evaluate("window.listening()") > 0
    page.evaluate("window.leave()")
    assert page.evaluate("window.listening()") == 0


def test_a_kernel_that_has_gone_ends_the_counting_and_takes_the_buttons_away(page: Page) -> None:
    drawn = draw_view(page, a_view(since=time.time() - 42))
    drawn.set("gone", time.time())
    assert "The kernel has gone after 42 s" in " ".join(drawn.find(".flame-line").inner_text().split())
    expect(drawn.find("button:visible")).to_have_count(0)


def test_tabs_are_chosen_by_arrow_keys_and_stay_chosen_when_their_content_changes(page: Page) -> None:
    tabs = [{"id": name, "title": name, "html": f"<p>{name} one</p>"} for name in ("value", "output")]
    drawn = draw_output(page, tabs=tabs)
    drawn.find("[role=tab]").first.focus()
    page.keyboard.press("ArrowRight")
    expect(drawn.find("[role=tab][aria-selected=true]")).to_have_text("output")
    drawn.set("tabs", [{**each, "html": each["html"].replace("one", "two")} for each in tabs])
    expect(drawn.find(".flame-page:visible")).to_have_text("output two")
    page.keyboard.press("ArrowRight")
    expect(drawn.find(".flame-page:visible")).to_have_text("value two")


def test_a_tab_that_is_unchanged_is_not_drawn_again(page: Page) -> None:
    tabs = [{"id": "a", "title": "a", "html": "<details><summary>more</summary>x</details>"}]
    drawn = draw_output(page, tabs=tabs)
    page.evaluate("document.querySelector('details').mark = 1; document.querySelector('details').open = true")
    drawn.set("tabs", [dict(tabs[0])])
    assert page.evaluate("document.querySelector('details').mark") == 1
    drawn.set("tabs", [{**tabs[0], "html": tabs[0]["html"].replace("x", "y")}])
    assert page.evaluate("document.querySelector('details').open"), "what was unfolded is folded"
