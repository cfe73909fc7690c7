# SPDX-License-Identifier: Apache-2.0
"""A cell that displays many failed calls: the first three in full, the others folded, one line that counts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flame_jupyter.display.model.snapshot import Snapshot, take
from flame_jupyter.display.render.bundles import WIDGET_VIEW, Bundle
from flame_jupyter.display.render.folding import IN_FULL, MAX_CELLS, CellFailures
from flame_jupyter.display.views.mode import Mode, Settings
from flame_jupyter.display.views.output import Output
from flamepy.errors import TaskFailed
from tests.notebook.display_parts import HandFuture, Room, future_of
from tests.notebook.views.test_display_manager import Stage
from tests.notebook.views.test_display_text import words

TRACEBACK = "Cell In[2], line 4, in score"
SUMMARY = (
    "{failed} of {shown} calls of this cell failed: {failed} ValueError (first: score(0) #0: part 0 has no rows). "
    "The tracebacks of all but three are {away}"
)


def failed_call(number: int, kind: str = "ValueError") -> HandFuture:
    text = f"part {number} has no rows"
    future = HandFuture(id=number, call_text=f"score({number})", output="loading\n")
    future.error = TaskFailed("score", kind, text, f"{TRACEBACK}\n{kind}: {text}")
    future.end("failed")
    return future


class Cell:
    """A room whose cell displays calls that are still pending."""

    def __init__(self) -> None:
        self.room = Room()

    def show(self, number: int, cell: str = "cell-1") -> Output:
        return self.room.show_call(HandFuture(id=number, call_text=f"score({number})"), cell=cell)

    def text(self, number: int) -> str:
        return self.room.page.text(f"body-{number}")


def fail(view: Output, kind: str = "ValueError") -> None:
    future = future_of(view)
    future.error = failed_call(future.id, kind).error
    future.end("failed")


@pytest.fixture
def cell() -> Iterator[Cell]:
    cell = Cell()
    yield cell
    cell.room.retire()


def test_the_first_three_failures_are_told_in_full_and_the_others_in_two_lines(cell: Cell) -> None:
    for view in [cell.show(number) for number in range(6)]:
        fail(view)
    cell.room.pass_time(1)
    assert [TRACEBACK in cell.text(number) for number in range(6)] == [True, True, True, False, False, False]
    assert cell.text(5) == "score(5) #5: failed after 2.3 s\nValueError: part 5 has no rows"
    page = str(dict(cell.room.page.sent)["body-5"]["text/html"])
    assert TRACEBACK in page, "one click away"
    assert page.count("<details") - page.count("<details open") == 2, "the fold, and in it the details"
    assert page.index("Traceback, output and details") < page.index("<details open")


def test_the_first_folded_one_counts_all_and_counts_on(cell: Cell) -> None:
    views = [cell.show(number) for number in range(20)]
    for view in views[:4]:
        fail(view)
    cell.room.pass_time(1)
    lead = str(SUMMARY).format(failed=4, shown=20, away="left out: .get() shows one.\n")
    assert cell.text(3) == lead + "score(3) #3: failed after 2.3 s\nValueError: part 3 has no rows"
    assert str(SUMMARY).format(failed=4, shown=20, away="folded.") in words(
        str(dict(cell.room.page.sent)["body-3"]["text/html"])
    )
    for view in views[4:16]:
        fail(view)
    fail(views[16], kind="KeyError")
    cell.room.updater.wake()
    cell.room.pass_time(2)
    assert cell.text(3).startswith("17 of 20 calls of this cell failed: 16 ValueError (first: score(0) #0: ")
    assert "1 KeyError (first: score(16) #16: part 16 has no rows)" in cell.text(3)
    assert sum("of this cell failed" in cell.text(number) for number in range(17)) == 1


def test_the_summary_costs_a_message_a_tick_however_many_calls_fail(cell: Cell) -> None:
    views = [cell.show(number) for number in range(40)]
    for view in views[:4]:
        fail(view)
    cell.room.pass_time(2)
    before = cell.room.page.count("body-3")
    for view in views[4:]:
        fail(view)
    cell.room.updater.wake()
    cell.room.pass_time(1)
    assert cell.room.page.count("body-3") - before <= 3


def test_each_cell_has_three_of_its_own(cell: Cell) -> None:
    for number in range(6):
        fail(cell.show(number, cell="cell-1" if number < 3 else "cell-2"))
    cell.room.pass_time(1)
    assert all(TRACEBACK in cell.text(number) for number in range(6))


def test_outside_of_a_kernel_nothing_is_folded(cell: Cell) -> None:
    for number in range(6):
        fail(cell.show(number, cell=""))
    cell.room.pass_time(1)
    assert TRACEBACK in cell.text(5)


def test_a_widget_that_is_kept_stays_one_when_it_counts_on(cell: Cell) -> None:
    cell.room.settings = Settings(settle="keep-widget", settle_after_s=0.0)
    views = [cell.room.show_call(HandFuture(id=n), Mode.LIVE, is_live=True, cell="cell-1") for n in range(6)]
    for view in views[:4]:
        fail(view)
    cell.room.pass_time(3)
    fail(views[4])
    cell.room.pass_time(1)
    shown = dict(cell.room.page.sent)["body-3"]
    assert str(shown["text/plain"]).startswith("5 of 6 calls of this cell failed")
    assert WIDGET_VIEW in shown


@pytest.mark.parametrize("allow_stdin", [True, False])
def test_calls_that_had_failed_before_they_are_displayed_are_folded_too(allow_stdin: bool) -> None:
    stage = Stage(allow_stdin=allow_stdin)
    shown: dict[str, Bundle] = {}
    for number in range(20):
        stage.future = failed_call(number)
        stage.front.show(stage.future)
    stage.front.end_cell()
    stage.front.close()
    while not stage.shell.sent.empty():
        display_id, bundle, _ = stage.shell.next()
        shown[display_id] = bundle
    texts = [str(bundle["text/plain"]) for bundle in shown.values()]
    assert [TRACEBACK in text for text in texts] == [True] * IN_FULL + [False] * 17
    if not allow_stdin:  # the cell of a program ends when all of it is sent
        assert texts[3].startswith(str(SUMMARY).format(failed=20, shown=20, away="left out"))


def test_old_cells_are_forgotten() -> None:
    failures = CellFailures()
    shot: Snapshot = take(failed_call(1), now_s=1002.0)
    for number in range(MAX_CELLS + 10):
        failures.show(f"cell-{number}", 1)
        failures.as_shown(f"cell-{number}", shot)
    assert len(failures._cells) == MAX_CELLS
