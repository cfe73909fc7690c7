# SPDX-License-Identifier: Apache-2.0
"""A notebook that a program executes ends with final, static results, whenever its calls ended."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from flame_jupyter.display.render.bundles import WIDGET_VIEW

pytestmark = pytest.mark.kernel

LOAD = "%load_ext flame_jupyter"
SLOW = "%%flame_service slow --quiet\ndef slow(seconds):\n    import time\n    time.sleep(seconds)\n    return seconds"
FAILS = "%%flame_service fails --quiet\ndef fails():\n    raise ValueError('too big')"
ROWS = "%%flame_service rows --quiet\ndef rows(count):\n    yield from range(count)"
SCORE = """%%flame_service score --quiet
def score(n):
    if n % 5:
        raise ValueError(f'part {n} has no rows')
    return {}['part']
"""

# One notebook for all that does not depend on what is before it and behind it: a kernel takes longer than its cells.
CELLS = {
    "a failed call": "fails()",
    "many failed calls": "for n in range(20):\n    display(score(n))",
    "a semicolon": "slow(0);",
    "a list": "[slow(0)]",
    "a future": "slow(0.25)",
    "out": "_.get()",
    "progress": "import flame_jupyter\nflame_jupyter.progress([slow(0.2), slow(0.3)])",
    "wait": "runner = %flame_runner start\nrunner.wait([slow(0.2)], progress=True)",
    "a stream": "stream = rows(3)\nstream",
    "its parts": "parts = list(stream)",
    "the panel": "%flame_runner",
    "the inspector": "flame_jupyter.inspect(slow(0.3))",
}


Outputs = list[dict[str, Any]]


class Run:
    """Executes cells as nbconvert and papermill do, and reads what the saved notebook holds."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pause_before: dict[int, float] = {}

    def __call__(self, *cells: str, allow_errors: bool = False) -> list[list[dict[str, Any]]]:
        notebook = self.execute(*cells, allow_errors=allow_errors)
        return [[dict(output) for output in cell.outputs] for cell in notebook.cells]

    def execute(self, *cells: str, allow_errors: bool = False) -> nbformat.NotebookNode:
        notebook: nbformat.NotebookNode = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells]
        )
        client = NotebookClient(
            notebook,
            timeout=60,
            kernel_name="python3",
            resources={"metadata": {"path": str(self.directory)}},
            allow_errors=allow_errors,
            on_cell_start=self._pause,
        )
        client.execute()
        return notebook

    def _pause(self, cell: object, cell_index: int) -> None:
        time.sleep(self.pause_before.get(cell_index, 0.0))  # the idle gap itself, not a wait for anything


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outputs]:
    """The outputs of ``CELLS`` in one saved notebook."""
    definitions = [LOAD, SLOW, FAILS, ROWS, SCORE]
    outputs = Run(tmp_path_factory.mktemp("scripted"))(*definitions, *CELLS.values())
    return dict(zip(CELLS, outputs[len(definitions) :], strict=True))


def shown(outputs: Outputs) -> str:
    """The text of a cell's only display; it must be static."""
    (display,) = [output for output in outputs if output["output_type"] == "display_data"]
    assert WIDGET_VIEW not in display["data"]
    assert "<script" not in display["data"]["text/html"]
    return str(display["data"]["text/plain"])


def test_a_call_that_the_last_cell_displays_is_final_in_the_saved_notebook(run: Run) -> None:
    text = shown(run(LOAD, SLOW, "slow(0.5)")[-1])
    assert text.startswith("slow(0.5) #1: done in ")
    assert text.endswith("\n0.5")


def test_a_call_that_ends_between_two_cells_is_final_in_the_saved_notebook(run: Run) -> None:
    run.pause_before[4] = 1.5
    outputs = run(LOAD, SLOW, "%config FlameMagics.settle_timeout = 0", "slow(0.5)", "1")
    assert "done in" in shown(outputs[3])


def test_a_call_that_ends_while_a_later_cell_runs_is_final_in_the_saved_notebook(run: Run) -> None:
    outputs = run(LOAD, SLOW, "%config FlameMagics.settle_timeout = 0", "call = slow(0.3)\ncall", "call.get()", "1")
    assert "done in" in shown(outputs[3])


def test_a_call_that_does_not_end_in_time_is_honestly_pending(run: Run) -> None:
    outputs = run(LOAD, SLOW, "%config FlameMagics.settle_timeout = 0.3", "slow(30)", "%flame_runner stop --cancel")
    text = shown(outputs[3])
    assert "pending at" in text or "cancelled" in text  # the last cell ended it while the display still followed


def test_a_cell_that_fails_does_not_wait_for_what_it_displayed(run: Run) -> None:
    start_s = time.monotonic()
    run(LOAD, SLOW, "display(slow(50))\n1 / 0", "%flame_runner stop --cancel", allow_errors=True)
    assert time.monotonic() - start_s < 45


def test_with_keep_widget_the_saved_notebook_holds_the_final_state_of_the_widget(run: Run) -> None:
    notebook = run.execute(LOAD, SLOW, "%config FlameMagics.settle = 'keep-widget'", "slow(0.3)")
    state = notebook.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    (view,) = [each["state"]["view"] for each in state.values() if "view" in each["state"]]
    assert view["word"] == "Done"
    _, body = [output["data"] for output in notebook.cells[3].outputs if output["output_type"] == "display_data"]
    assert WIDGET_VIEW in body
    assert "done in" in body["text/plain"]


def test_a_failed_call_shows_its_error(saved: dict[str, Outputs]) -> None:
    text = shown(saved["a failed call"])
    assert "ValueError: too big" in text
    assert "Traceback" in text


def test_of_many_failed_calls_the_saved_notebook_holds_three_tracebacks_and_one_summary(
    saved: dict[str, Outputs],
) -> None:
    """A notebook that was saved after twenty failures still reads, in text and in HTML."""
    displays = [output["data"] for output in saved["many failed calls"] if output["output_type"] == "display_data"]
    texts = [data["text/plain"] for data in displays]
    assert len(texts) == 20
    assert sum("Traceback from the worker" in text for text in texts) == 3
    (summary,) = [text.splitlines()[0] for text in texts if "of this cell failed" in text]
    assert summary.startswith("20 of 20 calls of this cell failed: 16 ValueError (first: score(")
    assert "4 KeyError (first: score(" in summary
    pages = "".join(data["text/html"] for data in displays)
    assert pages.count("Traceback from the worker") == 20
    assert pages.count("Traceback, output and details") == 17


def test_a_semicolon_hides_the_display_and_a_list_shows_names(saved: dict[str, Outputs]) -> None:
    assert saved["a semicolon"] == []
    assert "ObjectFuture slow #2" in str(saved["a list"])


def test_a_future_that_was_displayed_is_still_in_out(saved: dict[str, Outputs]) -> None:
    assert "done in" in shown(saved["a future"])
    assert saved["out"][0]["data"]["text/plain"] == "0.25"


def test_progress_of_a_program_ends_with_the_final_numbers(saved: dict[str, Outputs]) -> None:
    text = shown(saved["progress"])
    assert text.startswith("Progress of 2 calls: ended in ")
    assert text.splitlines()[0].endswith(": 2 done")


def test_wait_with_progress_shows_the_display_of_the_notebook(saved: dict[str, Outputs]) -> None:
    assert shown(saved["wait"]).startswith("Progress of 1 call: ended in ")


def test_a_stream_that_a_later_cell_reads_is_final_in_the_saved_notebook(
    saved: dict[str, Outputs],
) -> None:
    assert shown(saved["a stream"]).startswith("Stream rows #1: ended after 3 parts")


def test_the_panel_of_a_program_is_static_at_once(saved: dict[str, Outputs]) -> None:
    text = shown(saved["the panel"])
    assert "Engine: embedded" in text
    assert "slow" in text


def test_the_inspector_of_a_program_shows_what_there_is_when_the_call_has_ended(
    saved: dict[str, Outputs],
) -> None:
    text = shown(saved["the inspector"])
    assert text.startswith("Inspector of slow(0.3) #")
    assert ": done in " in text.splitlines()[1]
    assert text.endswith("0.3")
