# SPDX-License-Identifier: Apache-2.0
"""Thirty futures of every kind, executed by nbconvert, read without network and kernel."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from flame_jupyter.display.render.bundles import WIDGET_VIEW
from tests.browser.support.kinds import ASIDE, DEFINITIONS, KINDS, STREAM, visible
from tests.browser.support.lab import SCREENSHOTS, Lab
from tests.browser.support.notebooks import displays
from tests.browser.support.pages import violations

RUN_S = 100
CONVERT = """
from nbconvert.nbconvertapp import NbConvertApp
for arguments in (["--execute", "--to", "notebook", "in.ipynb"], ["--to", "html", "out.ipynb"]):
    NbConvertApp.launch_instance(["--output", "out", *arguments])
    NbConvertApp.clear_instance()
"""  # two commands in one process, for the library takes seconds to import


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory with ``out.ipynb`` and ``out.html``."""
    directory = tmp_path_factory.mktemp("exported")
    cells = ["%load_ext flame_jupyter", *DEFINITIONS, STREAM, *KINDS, *ASIDE]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, directory / "in.ipynb")
    subprocess.run([sys.executable, "-c", CONVERT], cwd=directory, timeout=RUN_S, check=True, capture_output=True)
    return directory


@pytest.fixture
def offline(browser: Browser) -> Iterator[Page]:
    """A page that reaches nothing but files."""
    context = browser.new_context(viewport={"width": 1100, "height": 900})
    page = context.new_page()
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("http*://**", refuse)
    yield page
    # MathJax and require.js are what nbconvert's own template asks for, in every notebook
    assert [url for url in asked if "mathjax" not in url.lower() and "require" not in url.lower()] == []
    context.close()


@pytest.mark.slow
def test_the_saved_notebook_holds_every_final_result_and_no_widget(executed: Path) -> None:
    notebook = nbformat.read(executed / "out.ipynb", as_version=4)
    assert len(KINDS) == 30
    assert not notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state")
    shown = {cell.source: display for cell in notebook.cells for display in displays(cell)}
    assert all(WIDGET_VIEW not in display for display in shown.values())
    assert all("<script" not in display["text/html"] for display in shown.values())
    for kind, (ended, text) in KINDS.items():
        plain = shown[kind]["text/plain"]
        assert f": {ended} " in plain.partition("\n")[0], plain
        assert text in plain, plain
    assert all("pending" not in display["text/plain"] for display in shown.values())
    assert shown[STREAM]["text/plain"].startswith("Stream Counter.rows #1: ended after 3 parts")


def test_the_page_shows_every_result_without_network_and_without_script_of_ours(executed: Path, offline: Page) -> None:
    offline.goto((executed / "out.html").as_uri())
    groups = offline.get_by_role("group", name="Flame call")
    expect(groups).to_have_count(30)
    for number, kind in enumerate(KINDS):
        expect(groups.nth(number), kind).to_contain_text(visible(kind))
    expect(groups.get_by_role("img")).to_have_count(3)
    expect(groups.locator("b", has_text="bold words")).to_be_attached()
    expect(offline.get_by_text("Error displaying widget")).to_have_count(0)
    expect(offline.get_by_text("All ended in")).to_be_visible()
    offline.screenshot(path=SCREENSHOTS / "exported.png", full_page=True)
    assert violations(offline) == []


@pytest.mark.notebook_7
def test_the_notebook_opens_without_its_kernel_and_shows_no_widget_error(executed: Path, lab: Lab) -> None:
    path = f"{lab.front_end}-exported.ipynb"
    (lab.server.directory / path).write_bytes((executed / "out.ipynb").read_bytes())
    lab.page.set_viewport_size({"width": 1180, "height": 12_000})
    lab.open_saved(path)
    for kind in KINDS:  # as an untrusted notebook, from which the front end removes roles and names
        expect(lab.page.locator(".jp-OutputArea-output", has_text=visible(kind)).first, kind).to_be_attached()
    expect(lab.page.get_by_text("Error displaying widget")).to_have_count(0)
    lab.close_saved()
