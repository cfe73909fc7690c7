# SPDX-License-Identifier: Apache-2.0
"""The notebooks of the project, run by the tools that people and scripts use, from a copy, in processes of their own.

What is saved must be whole: results as text and plain HTML, nothing pending, no widget that needs a kernel. What fails
must fail for the tool too, with one traceback. Afterwards no process and no directory is left.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import pytest
from nbformat import NotebookNode

from scripts.demo import results
from scripts.run_doc_examples import examples, run_in

ROOT = Path(__file__).resolve().parents[3]
NOTEBOOKS = ROOT / "notebooks"
ALL = sorted(NOTEBOOKS.glob("*.ipynb"))
RUN_S = 100.0  # the longer notebook takes a third of it on two busy cores
LEAVE_S = 5.0
WIDGET = "application/vnd.jupyter.widget-view+json"
UNSETTLED = re.compile(r"\b(?:pending|queued|submitting|running|waiting|fetching)\b", re.IGNORECASE)
ANSI = re.compile(r"\x1b\[[0-9;]*m")
QUICKSTART_RESULTS = {"a function": "4", "a class": "4, 14", "a future as an argument": "28"}

pytestmark = [pytest.mark.kernel]


@dataclass(frozen=True)
class Run:
    """How a tool ended. printed: everything that it wrote, colours removed; saved: the file that it was to make."""

    exit_code: int
    printed: str
    saved: Path

    def notebook(self) -> NotebookNode:
        assert self.exit_code == 0, self.printed
        return read(self.saved)


class NotebookRuns:
    """A copy of the notebooks, and a home that nobody else uses."""

    def __init__(self, directory: Path) -> None:
        self.notebooks = directory / "notebooks"
        self.elsewhere = directory / "elsewhere"
        self.temporary = directory / "tmp"
        home = directory / "home"
        for each in (self.notebooks, self.elsewhere, self.temporary, home):
            each.mkdir()
        for each in ALL:
            shutil.copy(each, self.notebooks)
        inherited = {
            key: value for key, value in os.environ.items() if not key.startswith(("JUPYTER", "IPYTHON", "MPL"))
        }
        self._environment = {
            **inherited,
            "HOME": str(home),
            "TMPDIR": str(self.temporary),
            "IPYTHONDIR": str(home / "ipython"),
            "JUPYTER_CONFIG_DIR": str(home / "config"),
            "JUPYTER_DATA_DIR": str(home / "data"),
            "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        }

    def nbconvert(self, name: str) -> Run:
        arguments = ["--output-dir", self.elsewhere, self.notebooks / f"{name}.ipynb"]
        return self._run("nbconvert", ["--execute", "--to", "html", *arguments], self.elsewhere / f"{name}.html")

    def papermill(self, name: str, **parameters: int) -> Run:
        """Run from another directory than that of the notebook."""
        saved = self.elsewhere / f"{name}.ipynb"
        chosen = [word for key, value in parameters.items() for word in ("-p", key, str(value))]
        arguments = ["--cwd", self.notebooks, *chosen, self.notebooks / f"{name}.ipynb", saved]
        return self._run("papermill", arguments, saved)

    def assert_nothing_is_left(self) -> None:
        _, alive = psutil.wait_procs(self._processes(), timeout=LEAVE_S)
        assert not alive, f"processes are left: {[' '.join(each.cmdline()) for each in alive]}"
        assert not list(self.temporary.glob("flame-*")), "directories are left"

    def _run(self, module: str, arguments: Sequence[object], saved: Path) -> Run:
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            env=self._environment,
            cwd=self.elsewhere,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_S,
            check=False,
        )
        return Run(done.returncode, ANSI.sub("", done.stdout), saved)

    def _processes(self) -> list[psutil.Process]:
        """Those that were started from here, whoever their parent is by now."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TMPDIR") == str(self.temporary):
                    found.append(process)
            except psutil.Error:  # not ours to look at, or gone
                continue
        return found


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[NotebookRuns]:
    desk = NotebookRuns(tmp_path)
    yield desk
    desk.assert_nothing_is_left()


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_notebook_is_stored_clean(path: Path) -> None:
    node = read(path)
    nbformat.validate(node)
    code = [cell for cell in node.cells if cell.cell_type == "code"]
    assert not [cell.id for cell in code if cell.outputs or cell.execution_count is not None]
    assert [cell.id for cell in code if "parameters" in cell.metadata.get("tags", ())] == ["parameters"]
    assert node.metadata.kernelspec.name == "python3"


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The directory in which the commands of the page on programs have run the quickstart; nothing else is left."""
    temporary = tmp_path_factory.mktemp("tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("TMPDIR", str(temporary))
        directory = tmp_path_factory.mktemp("page")
        run_in(str(directory), examples(ROOT / "docs" / "how-to" / "run-in-ci-with-papermill.md"))
    yield directory
    assert not list(temporary.glob("flame-*")), "directories are left"


def test_nbconvert_makes_a_page_that_needs_neither_kernel_nor_widgets(left: Path) -> None:
    page = (left / "quickstart.html").read_text(encoding="utf-8")

    results_in_page = re.sub(r"<[^>]+>", "", page)
    assert re.search(r"sum_fn\(1, 3\).*?Done in .*? 4", results_in_page, re.DOTALL)
    assert "4, 14" in results_in_page
    assert "Flame: Runner " in results_in_page
    assert "pending at" not in page
    assert "widget-view" not in page
    assert "html-manager" not in page  # what nbconvert loads from the network when a widget's state is saved


@pytest.mark.parametrize("saved", ["out.ipynb", "named.ipynb", "notebooks/executed.ipynb"])
def test_quickstart_is_saved_with_every_result(left: Path, saved: str) -> None:
    node = read(left / saved)

    assert dict(results(node)) == QUICKSTART_RESULTS
    assert "caught: -1.0 has no real square root" in shown(node, "error-catch")
    assert_settled(node)
    future = cell_of(node, "function-call").outputs[0].data
    assert "sum_fn(1, 3)" in future["text/plain"]
    assert "done in" in future["text/plain"]
    assert "Done" in future["text/html"]
    assert "<script" not in future["text/html"]


def test_papermill_sets_the_parameter_and_the_directory(left: Path) -> None:
    node = read(left / "out.ipynb")
    assert re.search("4 calls ended: 4 succeeded|ended in .*: 4 done", shown(node, "many-call"))
    assert "`notebooks/` has no files to give them" in shown(node, "function-define")


def test_the_search_takes_parameters_gives_its_numbers_and_pictures_and_is_saved_whole(desk: NotebookRuns) -> None:
    """With fewer combinations than it is stored with: more of them take longer, and nothing else."""
    node = desk.papermill("digits_search", n_C=2, n_gamma=2, folds=2).notebook()

    assert "4 of 4 combinations done" in shown(node, "search")
    assert "All 4 combinations are equal in every fold." in shown(node, "result")
    assert "combinations per second" in str(node)
    outputs = [output for cell in node.cells for output in cell.get("outputs", ())]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert_settled(node)


FAILURES = [
    pytest.param(
        "nbconvert",
        "%%flame_service broken\ndef broken(x):\n    return x\n\n\nbroken.no_such_name\n",
        "AttributeError",
        [r"Cell In\[3\], line 6\n", r"-+> 6 broken\.no_such_name\n"],
        id="in the body of a service",
    ),
    pytest.param(
        "papermill",
        "x = -1.0\nsquare_root(x).get()",
        "ValueError",
        [
            r"Cell In\[2\], line 7, in square_root\n",
            r"-+> +7 +raise ValueError\(",
            r"called from Cell In\[3\], line 2: square_root\(x\)\.get\(\)\n",
        ],
        id="in get()",
    ),
]


@pytest.mark.parametrize(("tool", "source", "kind", "places"), FAILURES)
def test_a_failing_cell_fails_the_run_with_one_traceback_at_its_line(
    desk: NotebookRuns, tool: str, source: str, kind: str, places: list[str]
) -> None:
    node = read(desk.notebooks / "quickstart.ipynb")
    failing = nbformat.v4.new_code_cell(source, id="failing")
    after = nbformat.v4.new_code_cell("print('went on')", id="after")
    node.cells = [cell_of(node, "load"), cell_of(node, "error-define"), failing, after]
    nbformat.write(node, desk.notebooks / "failing.ipynb")

    if tool == "nbconvert":
        run = desk.nbconvert("failing")
        assert not run.saved.exists()
        trace = run.printed.partition("An error occurred while executing the following cell:")[2]
    else:
        run = desk.papermill("failing")
        saved = read(run.saved)
        errors = [output for cell in saved.cells for output in cell.get("outputs", ()) if output.output_type == "error"]
        assert [error.ename for error in errors] == [kind]
        trace = ANSI.sub("", "\n".join(errors[0].traceback))
        assert not cell_of(saved, "after").outputs

    assert run.exit_code != 0
    assert trace.count("Traceback (") == 1, trace
    assert trace.count(kind) >= 2, trace  # the head and the message
    for place in places:
        assert re.search(place, trace), f"{place} is not in:\n{trace}"
    assert not re.search(r"flamepy|flame_jupyter|site-packages|went on", trace), trace


def read(path: Path) -> NotebookNode:
    node: NotebookNode = nbformat.read(path, as_version=4)
    return node


def cell_of(node: NotebookNode, cell_id: str) -> NotebookNode:
    found: NotebookNode = next(cell for cell in node.cells if cell.id == cell_id)
    return found


def shown(node: NotebookNode, cell_id: str) -> str:
    """The text that a cell shows."""
    return "".join(
        output.text if output.output_type == "stream" else output.get("data", {}).get("text/plain", "")
        for output in cell_of(node, cell_id).outputs
    )


def assert_settled(node: NotebookNode) -> None:
    """No output waits for something that will not come."""
    assert not node.metadata.get("widgets"), "the state of widgets is saved"
    for cell in node.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            assert WIDGET not in data, cell.id
            words = "".join([output.get("text", ""), data.get("text/plain", ""), data.get("text/html", "")])
            assert not UNSETTLED.search(words), f"{cell.id}: {words}"
            assert output.output_type != "stream" or output.name == "stdout", f"{cell.id}: {words}"
