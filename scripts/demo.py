# SPDX-License-Identifier: Apache-2.0
"""``make demo``: run notebooks/quickstart.ipynb in a fresh kernel, keep it as a page, print what it computed.

A cell with the tag ``result`` contributes one line: its label (metadata ``flame_result``) and the last line it showed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbconvert import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

from scripts.kernels import KERNEL_NAME, kernel_config

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "quickstart.ipynb"
PAGE = ROOT / "build" / "demo" / "quickstart.html"
CELL_LIMIT_S = 120  # the whole notebook takes a few seconds
_LINK_BESIDE = re.compile(r'href="(?![#/]|[a-z]+:)')


def run(notebook: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs, executed from its own directory. Raises CellExecutionError, CellTimeoutError."""
    node = nbformat.read(notebook, as_version=4)
    executor = ExecutePreprocessor(timeout=CELL_LIMIT_S, kernel_name=KERNEL_NAME, config=kernel_config())
    executed, _ = executor.preprocess(node, {"metadata": {"path": str(notebook.parent)}})
    return executed


def results(node: nbformat.NotebookNode) -> Iterator[tuple[str, str]]:
    """(label, last line shown) of each cell that is tagged ``result``."""
    for number, cell in enumerate(node.cells, start=1):
        if "result" in cell.metadata.get("tags", ()):
            yield cell.metadata.get("flame_result", f"cell {number}"), last_line(cell)


def last_line(cell: nbformat.NotebookNode) -> str:
    """The last non-empty line of standard output or of a plain-text display; "" when the cell shows nothing."""
    for output in reversed(cell.get("outputs", ())):
        if output.output_type == "stream" and output.name == "stdout":
            text = output.text
        else:
            text = output.get("data", {}).get("text/plain", "")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines:
            return str(lines[-1])
    return ""


def links_from(directory: Path, page: str) -> str:
    """The page, with links to what lies beside the notebook, for a page that lies in another directory."""
    beside = Path(os.path.relpath(NOTEBOOK.parent, directory)).as_posix()
    return _LINK_BESIDE.sub(rf'href="{beside}/', page)


def main() -> int:
    try:
        executed = run(NOTEBOOK)
    except FileNotFoundError:
        print(f"make demo: {NOTEBOOK.relative_to(ROOT)} is missing: restore it with git checkout.", file=sys.stderr)
        return 1
    except (CellExecutionError, CellTimeoutError) as error:
        print(f"make demo: a cell of {NOTEBOOK.relative_to(ROOT)} failed.\n{error}", file=sys.stderr)
        return 1
    found = list(results(executed))
    if not found or not all(text for _, text in found):
        print("make demo: no result: a cell tagged `result` must show a line of text.", file=sys.stderr)
        return 1

    page, _ = HTMLExporter().from_notebook_node(executed)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(links_from(PAGE.parent, page), encoding="utf-8")

    width = max(len(label) for label, _ in found)
    for label, text in found:
        print(f"{label:<{width}}  {text}")
    print(f"The notebook as it ran: {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
