# SPDX-License-Identifier: Apache-2.0
"""Notebooks run by programs: a failing cell fails the program, a good one leaves its results in the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

pytestmark = pytest.mark.kernel

RUN_S = 100
PROGRAMS = {
    "nbconvert": ("-m", "nbconvert", "--execute", "--to", "notebook", "--output", "out.ipynb", "in.ipynb"),
    "jupyter execute": ("-m", "jupyter", "execute", "--output=out", "in.ipynb"),
    "papermill": ("-m", "papermill", "--kernel", "python3", "--no-progress-bar", "in.ipynb", "out.ipynb"),
}
GOOD = (
    "%load_ext flame_jupyter",
    "%%flame_service square\nfrom helper import plus_one\ndef square(x):\n    return plus_one(x * x)",
    "print(square(6).get())",
    "square(7)",
)


def run(program: str, project: Path, home: Path, *cells: str) -> tuple[subprocess.CompletedProcess[str], NotebookNode]:
    """Execute a notebook of these cells in the project directory; returns what the program said and the notebook."""
    notebook = new_notebook(cells=[new_code_cell(each) for each in cells])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, project / "in.ipynb")
    env = {**os.environ, "HOME": str(home), "IPYTHONDIR": str(home / "ipython"), "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *PROGRAMS[program]],
        cwd=project,
        env=env,
        capture_output=True,
        text=True,
        timeout=RUN_S,
        check=False,
    )
    out = project / "out.ipynb"
    return done, nbformat.read(out, as_version=4) if out.exists() else new_notebook()


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs_a_notebook_and_the_file_holds_the_results(
    program: str, project: Path, private_home: Path
) -> None:
    (project / "helper.py").write_text("def plus_one(x):\n    return x + 1\n")
    done, notebook = run(program, project, private_home, *GOOD)
    assert done.returncode == 0, done.stderr
    texts = [output.get("text", "") for cell in notebook.cells for output in cell.outputs]
    assert "37\n" in texts
    shown = notebook.cells[-1].outputs[-1]["data"]
    assert "50" in shown["text/plain"]
    assert "pending" not in shown["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" not in shown


@pytest.mark.parametrize("program", ["nbconvert", "papermill"])
def test_a_mistake_in_the_line_of_a_magic_fails_the_program(program: str, project: Path, private_home: Path) -> None:
    mistake = "%%flame_service f\ndef g():\n    pass\ndef h():\n    pass"
    done, _ = run(program, project, private_home, GOOD[0], mistake, "print('not reached')")
    assert done.returncode != 0
    assert "not reached\n" not in done.stdout


@pytest.mark.parametrize("program", PROGRAMS)
def test_calls_that_nobody_waited_for_are_told_at_the_end(program: str, project: Path, private_home: Path) -> None:
    stuck = "%%flame_service stuck\ndef stuck():\n    import threading\n    threading.Event().wait()"
    done, _ = run(program, project, private_home, GOOD[0], stuck, "calls = [stuck() for _ in range(3)]")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if "Flame:" in line]
    assert len(told) == 1, done.stderr
    assert told[0].endswith(
        "Flame: the notebook ended before 3 calls had ended, and that cancels them. "
        "Wait for them in the last cell: %flame_runner wait"
    )
