# SPDX-License-Identifier: Apache-2.0
"""JupyterLab or Notebook 7 in a page that stays open from test to test, with one notebook, as a person has it.

The front end's own commands are used (``window.jupyterapp``): they resolve when they are done, so that no test has to
guess. Loading the page costs several seconds of a processor, another kernel one, other cells almost nothing.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import nbformat
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Locator, Request

from tests.browser.support.server import ROOT, Server, assert_have_ended

SCREENSHOTS = ROOT / "build" / "screenshots"
PICTURES = ROOT / "docs" / "images"
MAKES_PICTURES = bool(os.environ.get("UPDATE_PICTURES"))
CELL_TIMEOUT_MS = 60_000
THEMES = ("JupyterLab Light", "JupyterLab Dark")

# What Lab 4 itself asks for and does not find on a fresh server is no fault of ours.
# (Notebook 7.6 asks for a command and for the settings of plugins that it does not have, on every page.)
# Both ask for a subshell whenever a notebook opens or its kernel starts, in vain when the notebook is closed at once.
_NO_SUBSHELL = "Canceled future for create_subshell_request"
HARMLESS_PAGE_ERROR = {
    "lab": (_NO_SUBSHELL,),
    "notebook": (_NO_SUBSHELL, "reading 'schema'", "'filebrowser:open-path' not registered"),
}
# The fonts of formulas are refused to every page of Notebook 7 that has logged in by a token.
# The debugger's state is asked for whenever a notebook opens, in vain when that is closed at once.
HARMLESS_CONSOLE = (
    "debugger state", ".woff", "favicon", "/api/me", "workspaces", "[webpack", "Canvas2D", "ResizeObserver",
)  # fmt: skip

_PANEL = "window.jupyterapp.shell.currentWidget"
_KERNEL_IS_IDLE = "() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"


class Lab:
    """A page of a front end with its notebook. console_errors, failed_requests: since the last ``start_afresh``."""

    def __init__(self, context: BrowserContext, server: Server, front_end: str) -> None:
        self.server = server
        self.front_end = front_end
        self.name = f"{front_end}-training"
        self.path = f"{self.name}.ipynb"
        self.console_errors: list[str] = []
        self.failed_requests: list[str] = []
        self._is_open = False
        self.page = context.new_page()
        self.page.set_default_timeout(30_000)
        self._performance = context.new_cdp_session(self.page)
        self._performance.send("Performance.enable", {"timeDomain": "threadTicks"})
        self.page.on("console", self._on_console)
        self.page.on("pageerror", self._on_page_error)
        self.page.on("requestfailed", self._on_request_failed)

    def start_afresh(self) -> None:
        """The page as a test may expect it: size, theme and media as they were at first, and no error told."""
        self.page.bring_to_front()  # a page that is not in front draws nothing
        self.page.set_viewport_size({"width": 1180, "height": 900})
        self.page.emulate_media(reduced_motion="null", forced_colors="null")
        if self._is_open:
            self.set_theme(THEMES[0])
        self.console_errors.clear()
        self.failed_requests.clear()

    def show(self, cells: Sequence[str | nbformat.NotebookNode]) -> bool:
        """Have these cells instead of those that are there, from the disk. Tells whether the kernel is a new one."""
        nodes = [nbformat.v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=nodes)
        notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.server.directory / self.path)
        if not self._is_open:
            self._load(self.path)
            self._is_open = True
            self.set_theme(THEMES[0])  # a test that fails leaves another one behind, even to the next page
            return True
        self._do(f"await {_PANEL}.context.revert()")
        self._wait_for_cells()
        if self._has_kernel():
            return False
        self.start_new_kernel()
        return True

    def start_new_kernel(self) -> None:
        """Instead of the one that is there, if any, of which nothing may be left."""
        before = self.server.processes_of(self.page.evaluate(f"() => {_PANEL}.sessionContext.session?.kernel?.id"))
        self._do(f"await {_PANEL}.sessionContext.changeKernel({{ name: 'python3' }})")
        self.wait_for_kernel()
        assert_have_ended(before)

    def run_all(self) -> None:
        """Returns when all cells have been executed."""
        self.command("notebook:run-all-cells")

    def run_cell(self, *indices: int) -> None:
        """Returns when they have been executed, one after the other."""
        run = "panel.content.activeCellIndex = index; panel.content.deselectAll(); await execute('notebook:run-cell');"
        self._do(f"const panel = {_PANEL}; for (const index of argument) {{ {run} }}", list(indices))

    def start_cell(self, index: int) -> None:
        """Returns at once."""
        self.page.evaluate(
            f"index => {{ const panel = {_PANEL};"
            " panel.content.activeCellIndex = index; panel.content.deselectAll();"
            " window.jupyterapp.commands.execute('notebook:run-cell'); }",
            index,
        )

    def execute(self, code: str) -> None:
        """Run this in the kernel, beside the notebook. Whether that fails does not matter."""
        self._do(
            f"await {_PANEL}.sessionContext.session.kernel.requestExecute(argument).done",
            {"code": code, "silent": True},
        )

    def write_cell(self, index: int, source: str) -> None:
        self._do(f"{_PANEL}.content.model.cells.get(argument[0]).sharedModel.setSource(argument[1])", [index, source])

    def execution_count(self, index: int) -> int:
        """The number that the front end shows beside an executed cell."""
        return int(self.page.evaluate(f"index => {_PANEL}.content.model.cells.get(index).executionCount", index))

    def save(self) -> nbformat.NotebookNode:
        """Save, and read what is on the disk now."""
        self.command("docmanager:save")
        saved: nbformat.NotebookNode = nbformat.read(self.server.directory / self.path, as_version=4)
        return saved

    def load_again(self) -> None:
        """As F5 does."""
        self.page.reload()
        self.wait_for_kernel()

    def open_again(self) -> None:
        """As a tab that is closed and opened. In Notebook 7, where a tab is a page, the page is loaded again."""
        if self.front_end != "lab":
            self.load_again()
            return
        self._close_document()
        self._open_document(self.path)
        self.wait_for_kernel()

    def open_saved(self, path: str) -> None:
        """Open another notebook of the server, beside this one or, in Notebook 7, in its place."""
        if self.front_end == "lab" and self._is_open:
            self._open_document(path)
        else:
            self._is_open = False
            self._load(path)

    def close_saved(self) -> None:
        """Close a notebook that was opened beside ours, and end its kernel; one in the place of ours, its kernel."""
        self.shut_kernel_down()
        if self._is_open:
            self._close_document()

    def restart_kernel(self) -> None:
        self._do(f"await {_PANEL}.sessionContext.session.kernel.restart()")
        self.wait_for_kernel()

    def shut_kernel_down(self) -> None:
        """As the menu does it."""
        self._do(f"await {_PANEL}.sessionContext.shutdown()")

    def set_theme(self, name: str) -> None:
        if self.page.evaluate("() => document.body.dataset.jpThemeName") == name:
            return
        self._do("await execute('apputils:change-theme', { theme: argument })", name)
        self.page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=name)
        # Lab removes its splash twice, and logs an error, when the theme changes again while it is still there
        self.page.wait_for_selector("#jupyterlab-splash", state="detached")

    def command(self, name: str) -> None:
        self._do("await execute(argument)", name)

    def outputs(self, index: int) -> Locator:
        return self.page.locator(".jp-CodeCell").nth(index).locator(".jp-OutputArea-output")

    def processor_s(self) -> float:
        """Seconds of a processor that the page has used to run and draw itself, on a quick machine or a busy one."""
        metrics = self._performance.send("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    def screenshot(self, name: str, target: Locator | None = None) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        (target or self.page).screenshot(path=SCREENSHOTS / f"{self.front_end}-{name}.png")

    def picture(self, name: str, *cells: int, kind: str = ".jp-CodeCell") -> None:
        """A picture for the documentation, from the first to the last of these cells, counted among those of ``kind``.

        JupyterLab's, so that there is one.
        """
        if self.front_end != "lab" or not MAKES_PICTURES:
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

    def wait_for_kernel(self) -> None:
        self.page.wait_for_function(_KERNEL_IS_IDLE, timeout=CELL_TIMEOUT_MS)
        self._wait_for_cells()

    def close(self) -> None:
        self.page.close()

    def _has_kernel(self) -> bool:
        status = self.page.evaluate(f"() => {_PANEL}.sessionContext.session?.kernel?.status ?? 'none'")
        return status not in ("none", "dead")

    def _wait_for_cells(self) -> None:
        self.page.wait_for_selector(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell .jp-InputArea-editor")

    def _load(self, path: str) -> None:
        place = f"lab/tree/{path}?reset&" if self.front_end == "lab" else f"notebooks/{path}?"
        self.page.goto(f"{self.server.url}{place}token={self.server.token}")
        self.wait_for_kernel()

    def _open_document(self, path: str) -> None:
        self._do("await execute('docmanager:open', { path: argument })", path)
        # what Lab takes for the current notebook goes by the focus, which opening alone does not always move
        self.page.locator(".lm-DockPanel-tabBar").get_by_text(path, exact=True).click()
        self.page.wait_for_function(f"path => {_PANEL}?.context?.path === path", arg=path)
        self.wait_for_kernel()

    def _close_document(self) -> None:
        self._do(f"const panel = {_PANEL}; panel.context.model.dirty = false; panel.dispose()")

    def _do(self, steps: str, argument: Any = None) -> None:
        """Run these steps in the page, to their end; what they give would be copied at great length, so nothing is."""
        self.page.evaluate(
            f"""async ([argument, limit_ms]) => {{
                const execute = (name, options) => window.jupyterapp.commands.execute(name, options);
                const late = (_, fail) => setTimeout(() => fail(new Error("not done in time")), limit_ms);
                await Promise.race([(async () => {{ {steps} }})(), new Promise(late)]);
            }}""",
            [argument, CELL_TIMEOUT_MS],
        )

    def _on_console(self, message: ConsoleMessage) -> None:
        said = f"{message.text} {message.location}"
        if message.type == "error" and not any(word in said for word in HARMLESS_CONSOLE):
            self.console_errors.append(said)

    def _on_page_error(self, error: Error) -> None:
        if not any(word in error.message for word in HARMLESS_PAGE_ERROR[self.front_end]):
            self.console_errors.append(error.stack or error.message)

    def _on_request_failed(self, request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # Lab itself drops requests when a page is left
            self.failed_requests.append(f"{request.url}: {request.failure}")
