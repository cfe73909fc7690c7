# SPDX-License-Identifier: Apache-2.0
"""JupyterLab and Notebook 7 in Chromium, driven by Playwright: one server, one browser and one page of each for all.

They end with the last test of this package: Playwright keeps an event loop running in the thread of the tests.

A test that asks for ``lab`` runs in JupyterLab, and in Notebook 7 too where it is marked ``notebook_7``: both draw
outputs with the same parts; what differs is the page around them. The page stays open, with its notebook and its
kernel; each test brings cells of its own (``notebook.open``). After a test that has failed both are made anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("playwright.sync_api", reason="install the test extra: the browser tests need Playwright")

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.browser.support.lab import Lab
from tests.browser.support.notebooks import Notebook
from tests.browser.support.server import Server, running_server
from tests.sharing_out import BROWSER

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
EXPECT_TIMEOUT_MS = 15_000  # a busy machine gives a browser what is left
expect.set_options(timeout=EXPECT_TIMEOUT_MS)

_HAS_PASSED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory."""
    for item in items:
        if item.nodeid.startswith(BROWSER):
            item.add_marker(pytest.mark.browser)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the fixtures of a test whether it has passed."""
    report = yield
    if report.when == "call":
        item.stash[_HAS_PASSED] = report.passed
    return report


def chromium_path() -> str | None:
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("lab")) as server:
        yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    if path is None:
        reason = "no Chromium on the path: install it (Debian: apt-get install chromium) to run the browser tests"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="package")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: what it has loaded once it need not load again."""
    context = browser.new_context()
    yield context
    context.close()


class Pages:
    """The page of each front end that has been asked for."""

    def __init__(self, visitor: BrowserContext, server: Server) -> None:
        self._visitor = visitor
        self._server = server
        self._open: dict[str, Lab] = {}

    def page_of(self, front_end: str) -> Lab:
        if front_end not in self._open:
            self._open[front_end] = Lab(self._visitor, self._server, front_end)
        return self._open[front_end]

    def close(self, front_end: str) -> None:
        """Close its page; its kernel is shut down, and nothing of that is left."""
        self._open.pop(front_end).close()
        self._server.shut_kernels_down(front_end)

    def close_all(self) -> None:
        for front_end in list(self._open):
            self.close(front_end)


@pytest.fixture(scope="package")
def pages(visitor: BrowserContext, server: Server) -> Iterator[Pages]:
    pages = Pages(visitor, server)
    yield pages
    pages.close_all()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lab" in metafunc.fixturenames:
        is_for_both = metafunc.definition.get_closest_marker("notebook_7") is not None
        metafunc.parametrize("lab", ["lab", "notebook"] if is_for_both else ["lab"], indirect=True)


@pytest.fixture
def lab(pages: Pages, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A front end's page. The test fails when the page logged an error or a request failed."""
    lab = pages.page_of(request.param)
    is_clean = False
    try:
        lab.start_afresh()
        yield lab
        assert lab.console_errors == []
        assert lab.failed_requests == []
        is_clean = request.node.stash.get(_HAS_PASSED, False)
    finally:
        if not is_clean:
            pages.close(request.param)


@pytest.fixture
def notebook(lab: Lab, tmp_path: Path) -> Notebook:
    """The page's notebook, and a directory for what the test releases its calls with."""
    return Notebook(lab, tmp_path)
