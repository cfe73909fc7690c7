# SPDX-License-Identifier: Apache-2.0
"""Front ends that cannot run here, simulated: what we send them reads, with their colours.

Each is a page with the marks and the colours that the front end gives to the document of an output, and nothing of
Jupyter's variables. What it does with widgets is simulated too: a model that holds the state, and no kernel.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import bleach
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from flame_jupyter.display.model.snapshot import take
from flame_jupyter.display.previews.preview import Limits
from flame_jupyter.display.previews.preview_jobs import preview_of
from flame_jupyter.display.views.call_content import CallContent
from flame_jupyter.display.widgets.code import FUTURE_SCRIPT, FUTURE_STYLE
from tests.browser.support.lab import SCREENSHOTS
from tests.browser.support.pages import violations
from tests.notebook.display_parts import HandFuture

# attributes of <html>, of <body>, background, text
FRONT_ENDS = {
    "vscode-dark": ("", 'class="vscode-dark" data-vscode-theme-kind="vscode-dark"', "#1e1e1e", "#cccccc"),
    "vscode-light": ("", 'class="vscode-light" data-vscode-theme-kind="vscode-light"', "#ffffff", "#3b3b3b"),
    "colab-dark": ("theme=dark", "", "#383838", "#d5d5d5"),
    "github-dark": ('data-color-mode="dark"', 'class="markdown-body"', "#0d1117", "#f0f6fc"),
}
RENDER = """async ([script, state]) => {
  window.sent = [];
  const model = {
    get: (key) => state[key],
    set: (key, value) => { state[key] = value; },
    save_changes() {},
    on() {},
    off() {},
    send: (message) => window.sent.push(message),
  };
  const url = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
  (await import(url)).default.render({ model, el: document.getElementById("live") });
}"""
# What GitHub lets through, as far as it matters to us: no style, no script, no role, no name.
GITHUB_TAGS = {
    "b", "br", "code", "details", "div", "em", "i", "img", "p", "pre", "span", "strong", "summary", "table", "tbody",
    "td", "th", "thead", "tr",
}  # fmt: skip
GITHUB_ATTRIBUTES = {"img": ["src", "alt"], "th": ["scope"], "details": ["open"]}
SHOWN = (
    "Counter.add(4)",
    "Running",
    "Done",
    "DataFrame, 3 rows x 2 columns",
    "Failed",
    "ValueError: no root",
    "Output",
)


def calls() -> dict[str, HandFuture]:
    running = HandFuture(output="epoch 1\nepoch 2")
    done = HandFuture(value=pd.DataFrame({"city": ["Lisbon", "Oslo", "Quito"], "height": [2, 23, 2850]}))
    done.end()
    failed = HandFuture(error=ValueError("no root"))
    failed.end("failed")
    return {"running": running, "done": done, "failed": failed}


def static_page() -> str:
    cards = []
    for future in calls().values():
        made = preview_of(future, Limits()) if future.state == "succeeded" else None
        cards.append(str(CallContent(take(future, now_s=1002.0, preview=made)).whole()["text/html"]))
    return "".join(cards)


def as_github_shows(page: str) -> str:
    page = re.sub(r"(?s)<(style|script)\b.*?</\1>", "", page)
    return str(
        bleach.clean(page, tags=GITHUB_TAGS, attributes=GITHUB_ATTRIBUTES, protocols={"data", "https"}, strip=True)
    )


@pytest.fixture(params=FRONT_ENDS)
def front_end(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[str, Page]]:
    name = str(request.param)
    html, body, background, color = FRONT_ENDS[name]
    content = as_github_shows(static_page()) if name.startswith("github") else static_page()
    context = browser.new_context(
        viewport={"width": 760, "height": 900}, color_scheme="light" if name.endswith("light") else "dark"
    )
    page = context.new_page()
    page.set_content(
        f"<html lang=en {html}><head><title>{name}</title><style>{FUTURE_STYLE}</style></head>"
        f'<body {body} style="background:{background};color:{color}"><main>{content}<div id=live></div>'
        "</main></body></html>"
    )
    yield name, page
    context.close()


def test_what_we_send_reads_in_the_colours_of_the_front_end(front_end: tuple[str, Page]) -> None:
    name, page = front_end
    text = page.locator("main").inner_text()
    assert [word for word in SHOWN if word not in text] == []
    assert "{" not in text  # of a style that has become text
    if not name.startswith("github"):  # which runs no scripts
        running = CallContent(take(calls()["running"], now_s=1002.0))
        page.evaluate(RENDER, [FUTURE_SCRIPT, running.traits()])
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"simulated-{name}.png")
    # what a data frame itself draws is not ours to mend
    assert [each for each in violations(page, "main") if not each.startswith("empty-table-header: <th></th>")] == []
    if not name.startswith("github"):
        page.get_by_role("button", name="Cancel").click()
        assert page.evaluate("window.sent.map((each) => each.ask)") == ["draw", "cancel"]
