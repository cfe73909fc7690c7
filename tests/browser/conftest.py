# SPDX-License-Identifier: Apache-2.0
"""JupyterLab and Notebook 7 in Chromium, driven by Playwright: one server and one browser for all, one page a test.

A test that asks for ``lab`` runs in JupyterLab, and in Notebook 7 too where it is marked ``notebook_7``: both draw
outputs with the same parts; what differs is the page around them. The server has directories of its own for
configuration, data and run-time files, a random port and token, and listens on loopback only. The front end's own
commands are used (``window.jupyterapp``): they resolve when they are done, so that no test has to guess.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytest.importorskip("playwright.sync_api", reason="install the test extra: the browser tests need Playwright")

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
    WebSocket,
    expect,
    sync_playwright,
)

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "build" / "screenshots"
PICTURES = ROOT / "docs" / "images"  # made anew when UPDATE_PICTURES is set
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
CHROMIUM_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run", "--disable-quic",
]  # fmt: skip
START_TIMEOUT_S = 60
CELL_TIMEOUT_MS = 60_000
EXPECT_TIMEOUT_MS = 15_000  # a busy machine gives a browser what is left
expect.set_options(timeout=EXPECT_TIMEOUT_MS)

# What Lab 4 itself asks for and does not find on a fresh server is no fault of ours.
# (Notebook 7.6 asks for a command and for the settings of plugins that it does not have, on every page.)
HARMLESS_PAGE_ERROR = {"lab": (), "notebook": ("reading 'schema'", "'filebrowser:open-path' not registered")}
# The fonts of formulas are refused to every page of Notebook 7 that has logged in by a token.
HARMLESS_CONSOLE = (".woff", "favicon", "/api/me", "workspaces", "[webpack", "Canvas2D", "ResizeObserver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this directory, and run them last: Playwright keeps an event loop running in this thread.

    The longest file comes first, so that processes that share the tests end at about the same time.
    """
    lengths = Counter(item.path for item in items)
    items.sort(key=lambda item: (_is_browser_test(item), -lengths[item.path] if _is_browser_test(item) else 0))
    for item in items:
        if _is_browser_test(item):
            item.add_marker(pytest.mark.browser)


def _is_browser_test(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


def chromium_path() -> str | None:
    return next((path for name in CHROMIUM_NAMES if (path := shutil.which(name))), None)


@dataclass
class Server:
    url: str
    token: str
    directory: Path


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("lab")
    notebooks = home / "notebooks"
    notebooks.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    directories = {name: home / name for name in ("config", "data", "runtime", "ipython", "workspaces")}
    for directory in directories.values():
        directory.mkdir()
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLAME_")},
        "JUPYTER_CONFIG_DIR": str(directories["config"]),
        "JUPYTER_DATA_DIR": str(directories["data"]),
        "JUPYTER_RUNTIME_DIR": str(directories["runtime"]),
        "IPYTHONDIR": str(directories["ipython"]),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(directories["workspaces"]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    token = secrets.token_hex(16)
    arguments = [
        "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={notebooks}", "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True", "--ServerApp.jpserver_extensions={'notebook': True}",
        "--LabApp.extension_manager=readonly", "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    log_path = home / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen([sys.executable, *arguments], env=environ, stdout=log, stderr=log, cwd=notebooks)
        try:
            yield Server(_wait_for_url(process, directories["runtime"], log_path), token, notebooks)
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], runtime: Path, log_path: Path) -> str:
    """The server writes its address into its run-time directory once it listens."""
    waits = START_TIMEOUT_S * 10
    for _ in range(waits):
        for found in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(found.read_text())["url"])
            except (ValueError, KeyError):  # half written
                continue
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"JupyterLab did not start within {START_TIMEOUT_S} s:\n{log_path.read_text()[-3000:]}")


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """One person's browser: what it has loaded once it need not load again."""
    context = browser.new_context()
    yield context
    context.close()


@dataclass
class Lab:
    """A notebook in JupyterLab or Notebook 7, as a person has it before them. frames: what its websockets received."""

    page: Page
    server: Server
    front_end: str = "lab"
    console_errors: list[str] = field(default_factory=list)
    failed_requests: list[str] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    path: str = ""

    def open(self, path: str) -> None:
        self.path = path
        place = f"lab/tree/{path}?reset&" if self.front_end == "lab" else f"notebooks/{path}?"
        self.page.goto(f"{self.server.url}{place}token={self.server.token}")
        self._wait_for_kernel()

    def write_and_open(self, name: str, cells: list[str]) -> None:
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.server.directory / name)
        self.open(name)

    def run_all(self) -> None:
        """Returns when all cells have been executed."""
        self.command("notebook:run-all-cells")

    def run_cell(self, index: int) -> None:
        self.start_cell(index)
        self.page.wait_for_function(
            "index => /\\[\\d+\\]/.test(document.querySelectorAll('.jp-CodeCell')[index]"
            ".querySelector('.jp-InputPrompt').textContent)",
            arg=index,
            timeout=CELL_TIMEOUT_MS,
        )

    def start_cell(self, index: int) -> None:
        """Returns at once."""
        self.page.evaluate(
            "index => { const panel = window.jupyterapp.shell.currentWidget;"
            " panel.content.activeCellIndex = index; panel.content.deselectAll();"
            " window.jupyterapp.commands.execute('notebook:run-cell'); }",
            index,
        )

    def save(self) -> nbformat.NotebookNode:
        """Save, and read what is on the disk now."""
        self.command("docmanager:save")
        saved: nbformat.NotebookNode = nbformat.read(self.server.directory / self.path, as_version=4)
        return saved

    def open_again(self) -> None:
        """As F5 does, or a tab that is closed and opened."""
        self.page.reload()
        self._wait_for_kernel()

    def restart_kernel_and_reload(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.page.reload()
        self._wait_for_kernel()

    def set_theme(self, name: str) -> None:
        self.page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # Lab removes its splash twice, and logs an error, when the theme changes again while it is still there
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def command(self, name: str) -> None:
        self.page.evaluate("async name => { await window.jupyterapp.commands.execute(name); }", name)

    def outputs(self, index: int) -> Locator:
        return self.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea-output")

    def screenshot(self, name: str, target: Locator | None = None) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (target or self.page).screenshot(path=SCREENSHOTS / f"{self.front_end}-{name}.png")

    def picture(self, name: str, *cells: int, kind: str = ".jp-CodeCell") -> None:
        """A picture for the documentation, from the first to the last of these cells, counted among those of ``kind``.

        JupyterLab's, so that there is one.
        """
        if self.front_end != "lab" or not os.environ.get("UPDATE_PICTURES"):
            return
        self.page.locator(kind).nth(cells[0]).evaluate("cell => cell.scrollIntoView()")
        boxes = [self.page.locator(kind).nth(cell).bounding_box() for cell in cells]
        shown = [box for box in boxes if box is not None]
        left, top = min(box["x"] for box in shown), min(box["y"] for box in shown)
        right = max(box["x"] + box["width"] for box in shown)
        bottom = max(box["y"] + box["height"] for box in shown)
        clip = {"x": left, "y": top, "width": right - left, "height": bottom - top}
        self.page.mouse.move(0, 0)
        self.page.screenshot(path=PICTURES / f"{name}.png", clip=clip)  # type: ignore[arg-type]

    def messages(self, kind: str) -> int:
        """How many messages of this type the page has received from its kernels."""
        return sum(
            f'"msg_type": "{kind}"'.encode() in frame or f'"msg_type":"{kind}"'.encode() in frame
            for frame in self.frames
        )

    def close_kernel(self) -> None:
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget?.sessionContext.shutdown()")

    def _wait_for_kernel(self) -> None:
        self.page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=CELL_TIMEOUT_MS,
        )
        self.page.wait_for_selector(".jp-CodeCell .jp-InputArea-editor")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "lab" in metafunc.fixturenames:
        is_for_both = metafunc.definition.get_closest_marker("notebook_7") is not None
        metafunc.parametrize("lab", ["lab", "notebook"] if is_for_both else ["lab"], indirect=True)


@pytest.fixture
def lab(server: Server, visitor: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A page of its own. The test fails when the page logged an error or a request failed."""
    page = visitor.new_page()
    page.set_viewport_size({"width": 1180, "height": 900})
    page.set_default_timeout(30_000)
    lab = Lab(page, server, request.param)

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and not any(
            word in f"{message.text} {message.location}" for word in HARMLESS_CONSOLE
        ):
            lab.console_errors.append(f"{message.text} {message.location}")

    def on_failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # Lab itself drops requests when a page is left
            lab.failed_requests.append(f"{request.url}: {request.failure}")

    page.on("console", on_console)

    def on_page_error(error: Error) -> None:
        if not any(word in error.message for word in HARMLESS_PAGE_ERROR[lab.front_end]):
            lab.console_errors.append(error.stack or error.message)

    def on_websocket(socket: WebSocket) -> None:
        socket.on("framereceived", lambda frame: lab.frames.append(frame if isinstance(frame, bytes) else b""))

    page.on("pageerror", on_page_error)
    page.on("websocket", on_websocket)
    page.on("requestfailed", on_failed)
    try:
        yield lab
        assert lab.console_errors == []
        assert lab.failed_requests == []
    finally:
        try:
            if lab.path:
                lab.close_kernel()
        finally:
            page.close()


def bundle_of(output: Any) -> dict[str, str]:
    return dict(output.get("data", {}))


@pytest.fixture
def notebook(lab: Lab, tmp_path: Path) -> Any:
    from tests.browser.notebooks import Notebook

    return Notebook(lab, tmp_path)
