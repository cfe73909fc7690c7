# SPDX-License-Identifier: Apache-2.0
"""Run the examples of the README, the tutorials and the how-tos, as a reader would: page by page, in a fresh kernel.

Each marked block is a cell, in order, so magics work and later blocks see what earlier ones defined. Explanations and
references show fragments, and are not run. What stands behind the three backticks says what must happen:

``python``              it runs
``python raises``       it ends with an error
``python interrupted``  it waits, is interrupted as by the stop button, and ends with that. It is one call, of Flame
``sh run``              every command of it succeeds, in a directory that has a copy of ``notebooks/``
``text shown``          the block before it has shown this; ``...`` stands for anything, also for several lines
"""

from __future__ import annotations

import re
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

from scripts.kernels import KERNEL_NAME, kernel_config
from scripts.markdown import CodeBlock, code_blocks

ROOT = Path(__file__).resolve().parent.parent
CELL_LIMIT_S = 100  # some cells run whole notebooks
RUN_MARKS = ("python", "python raises", "python interrupted", "sh run")
SHOWN_MARK = "text shown"
# The commands of this environment come first, as in one that is activated.
SHELL = f"%%bash\nset -e\nexport PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH\n{{}}"
_ANYTHING = re.compile(r"(?:\\ )?\\\.\\\.\\\.(?:\\ )?")
_ANSI = re.compile(r"\x1b\[[0-9;]*m")

# Interrupts the cell that comes next, once its main thread has been inside of flamepy for twenty looks in a row.
INTERRUPT_NEXT = """
def _interrupt_next():
    import _thread, sys, threading
    main, looks = threading.main_thread().ident, 0
    while looks < 20:
        threading.Event().wait(0.01)
        frame, inside = sys._current_frames()[main], False
        while frame is not None and not inside:
            inside, frame = frame.f_globals.get("__name__", "").startswith("flamepy."), frame.f_back
        looks = looks + 1 if inside else 0
    _thread.interrupt_main()

import threading
threading.Thread(target=_interrupt_next, daemon=True).start()
"""


class ExampleFailed(Exception):
    """An example did not do what its page says. The text names the line of the block."""


def runnable_pages(root: Path) -> list[Path]:
    return sorted([root / "README.md", *root.glob("docs/tutorial/**/*.md"), *root.glob("docs/how-to/**/*.md")])


def examples(page: Path) -> list[CodeBlock]:
    """The blocks of a page that are run, and those that say what was shown."""
    blocks = code_blocks(page.read_text(encoding="utf-8")) if page.exists() else ()
    return [block for block in blocks if block.info in (*RUN_MARKS, SHOWN_MARK)]


def run(blocks: list[CodeBlock]) -> None:
    """Run the blocks in a directory of their own. Raises ExampleFailed, CellExecutionError, CellTimeoutError."""
    with tempfile.TemporaryDirectory(prefix="flame-docs-") as directory:
        run_in(directory, blocks)


def run_in(directory: str, blocks: list[CodeBlock]) -> None:
    """Run the blocks in this directory, which keeps what they leave. Raises as ``run`` does."""
    cells = [cell for block in blocks for cell in _cells_of(block)]
    if any(block.info == "sh run" for block in blocks):
        shutil.copytree(ROOT / "notebooks", Path(directory, "notebooks"))
    client = NotebookClient(
        new_notebook(cells=cells),
        timeout=CELL_LIMIT_S,
        kernel_name=KERNEL_NAME,
        coalesce_streams=True,  # a command's output comes in pieces that end in the middle of words
        resources={"metadata": {"path": directory}},
        config=kernel_config(),
    )
    executed = client.execute()
    _check(blocks, {cell.metadata["line"]: cell for cell in executed.cells if "line" in cell.metadata})


def _cells_of(block: CodeBlock) -> list[NotebookNode]:
    if block.info == SHOWN_MARK:
        return []
    code = SHELL.format(block.code) if block.info == "sh run" else block.code
    is_to_fail = block.info in ("python raises", "python interrupted")
    cell = new_code_cell(code, metadata={"line": block.line, "tags": ["raises-exception"] if is_to_fail else []})
    return [new_code_cell(INTERRUPT_NEXT), cell] if block.info == "python interrupted" else [cell]


def _check(blocks: list[CodeBlock], cells: dict[int, NotebookNode]) -> None:
    """Did the blocks end as they are marked, and show what the page says?"""
    shown = ""
    for block in blocks:
        if block.info == SHOWN_MARK:
            if not is_shown(block.code, shown):
                raise ExampleFailed(f"line {block.line} says\n{block.code}\nbut this was shown:\n{shown}")
            continue
        outputs = cells[block.line].outputs
        shown = "\n".join(text_of_output(output).rstrip("\n") for output in outputs) + "\n"
        errors = [name for output in outputs if (name := error_of_output(output))]
        if block.info == "python raises" and not errors:
            raise ExampleFailed(f"line {block.line}: should raise, and does not.")
        if block.info == "python interrupted" and errors not in (["KeyboardInterrupt"], ["CancelledError"]):
            raise ExampleFailed(f"line {block.line}: should end by the interrupt, ended with {errors or 'success'}.")


def is_shown(said: str, shown: str) -> bool:
    """Is this the text, whatever its white space? ``...`` stands for anything, or for nothing."""
    pattern = _ANYTHING.sub(".*", re.escape(" ".join(said.split())))
    return re.fullmatch(pattern, " ".join(shown.split())) is not None


def error_of_output(output: NotebookNode) -> str:
    """The name of the error that it tells of, or "". IPython prints a mistake in the line of a magic in one line."""
    if output.output_type == "error":
        return str(output.ename)
    return "UsageError" if output.output_type == "stream" and output.text.startswith("UsageError: ") else ""


def text_of_output(output: NotebookNode) -> str:
    """What an output shows to a reader of plain text."""
    if output.output_type == "error":
        return _ANSI.sub("", "\n".join(output.traceback))
    if output.output_type == "stream":
        return str(output.text)
    return str(output.data.get("text/plain", ""))


def main() -> int:
    failed = False
    for page in runnable_pages(ROOT):
        blocks = examples(page)
        if not blocks:
            continue
        try:
            run(blocks)
        except (ExampleFailed, CellExecutionError, CellTimeoutError) as error:
            failed = True
            print(f"{page.relative_to(ROOT)}: an example fails:\n{error}", file=sys.stderr)
        else:
            print(f"{page.relative_to(ROOT)}: {len(blocks)} examples run")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
