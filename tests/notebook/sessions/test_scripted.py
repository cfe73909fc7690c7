# SPDX-License-Identifier: Apache-2.0
"""Notebooks run by programs: a failing cell fails the program, a good one leaves its results in the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

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
LOAD = "%load_ext flame_jupyter"
CELLS = {
    "load": LOAD,
    "service": "%%flame_service square\nfrom helper import plus_one\ndef square(x):\n    return plus_one(x * x)",
    "exported": "#| export\ndef triple(x):\n    return 3 * x",
    "not exported": "#| export json\nx = 1",
    "user": "%%flame_service use\ndef use(x):\n    import notebook_cells\n    return notebook_cells.triple(x)",
    "printed": "print(square(6).get())",
    "imported": "print(use(2).get())",
    "displayed": "square(7)",
    "stuck": "%%flame_service stuck\ndef stuck():\n    import threading\n    threading.Event().wait()",
    "not waited for": "calls = [stuck() for _ in range(3)]",
}


class Ran(NamedTuple):
    """What a program said, the notebook that it saved, and the directory in which it ran."""

    done: subprocess.CompletedProcess[str]
    notebook: NotebookNode
    project: Path


def run(program: str, project: Path, home: Path, *cells: str) -> Ran:
    """Execute a notebook of these cells in the project directory."""
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
    return Ran(done, nbformat.read(out, as_version=4) if out.exists() else new_notebook(), project)


@pytest.fixture(scope="module", params=PROGRAMS)
def ran(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """One notebook, run by each program: each takes seconds to start."""
    project = tmp_path_factory.mktemp("project")
    (project / "helper.py").write_text("def plus_one(x):\n    return x + 1\n")
    return run(request.param, project, tmp_path_factory.mktemp("home"), *CELLS.values())


def outputs(notebook: NotebookNode, name: str) -> list[NotebookNode]:
    return list(notebook.cells[list(CELLS).index(name)].outputs)


def printed(notebook: NotebookNode, name: str) -> str:
    """The kernel may send the end of a line by itself, and not every program joins what it sends."""
    return "".join(each.text for each in outputs(notebook, name) if each.output_type == "stream")


def test_a_program_runs_a_notebook_and_the_file_holds_the_results(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    assert printed(ran.notebook, "printed") == "37\n"
    shown = outputs(ran.notebook, "displayed")[-1]["data"]
    assert "50" in shown["text/plain"]
    assert "pending" not in shown["text/plain"]
    assert "application/vnd.jupyter.widget-view+json" not in shown


def test_programs_export_cells_under_the_name_that_needs_no_path(ran: Ran) -> None:
    assert printed(ran.notebook, "imported") == "6\n"
    assert [each.name for each in ran.project.glob("*.py")] == ["helper.py"]


def test_a_program_says_of_a_cell_that_it_is_not_exported(ran: Ran) -> None:
    assert "would hide the one of Python itself" in str(outputs(ran.notebook, "not exported"))


def test_calls_that_nobody_waited_for_are_told_at_the_end(ran: Ran) -> None:
    assert ran.done.returncode == 0, ran.done.stderr
    told = [line for line in ran.done.stderr.splitlines() if "Flame:" in line]
    assert len(told) == 1, ran.done.stderr
    assert told[0].endswith(
        "Flame: the notebook ended before 3 calls had ended, and that cancels them. "
        "Wait for them in the last cell: %flame_runner wait"
    )


@pytest.mark.parametrize("program", ["nbconvert", "papermill"])
def test_a_mistake_in_the_line_of_a_magic_fails_the_program(program: str, project: Path, private_home: Path) -> None:
    mistake = "%%flame_service f\ndef g():\n    pass\ndef h():\n    pass"
    done, _, _ = run(program, project, private_home, LOAD, mistake, "print('not reached')")
    assert done.returncode != 0
    assert "not reached\n" not in done.stdout
