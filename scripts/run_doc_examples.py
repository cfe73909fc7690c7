# SPDX-License-Identifier: Apache-2.0
"""Run the examples of the README, the tutorials and the how-tos, as a reader would: page by page, in a fresh kernel.

Each block marked ``python`` is a cell, in order, so magics work and later blocks see what earlier ones defined. A block
marked ``python norun`` is shown only. Explanations and references show fragments, and are not run.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

from scripts.kernels import KERNEL_NAME, kernel_config
from scripts.markdown import CodeBlock, code_blocks

ROOT = Path(__file__).resolve().parent.parent
CELL_LIMIT_S = 60


def runnable_pages(root: Path) -> list[Path]:
    return sorted([root / "README.md", *root.glob("docs/tutorial/**/*.md"), *root.glob("docs/how-to/**/*.md")])


def examples(page: Path) -> list[CodeBlock]:
    blocks = code_blocks(page.read_text(encoding="utf-8")) if page.exists() else ()
    return [block for block in blocks if block.info.split() == ["python"]]


def run(blocks: list[CodeBlock]) -> None:
    """Run the blocks in an empty directory. Raises CellExecutionError, CellTimeoutError."""
    cells = [nbformat.v4.new_code_cell(block.code) for block in blocks]
    with tempfile.TemporaryDirectory(prefix="flame-docs-") as directory:
        client = NotebookClient(
            nbformat.v4.new_notebook(cells=cells),
            timeout=CELL_LIMIT_S,
            kernel_name=KERNEL_NAME,
            resources={"metadata": {"path": directory}},
            config=kernel_config(),
        )
        client.execute()


def main() -> int:
    failed = False
    for page in runnable_pages(ROOT):
        blocks = examples(page)
        if not blocks:
            continue
        try:
            run(blocks)
        except (CellExecutionError, CellTimeoutError) as error:
            failed = True
            print(f"{page.relative_to(ROOT)}: an example fails:\n{error}", file=sys.stderr)
        else:
            print(f"{page.relative_to(ROOT)}: {len(blocks)} examples run")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
