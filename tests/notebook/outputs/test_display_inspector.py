# SPDX-License-Identifier: Apache-2.0
"""The result inspector, on real calls; its reader is a worker, the page only listens."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest

from flame_jupyter.display import Settings
from flame_jupyter.display.frontend.display_manager import DisplayManager
from flame_jupyter.display.previews.inspector_payload import payload_of
from flame_jupyter.display.previews.preview import Limits
from flame_jupyter.display.sources.inspector import Inspector
from flame_jupyter.display.views.page_content import PageContent
from flamepy import ObjectFuture, Runner
from flamepy.engine.local.engine import EmbeddedEngine
from tests.notebook.views.test_display_manager import ListeningShell

WAIT_S = 30.0
LIMITS = Limits()


def frame_of(rows: int) -> pd.DataFrame:
    print("making", rows)
    return pd.DataFrame({"n": range(rows)})


def fails() -> None:
    raise ValueError("no rows")


class HeardViewer:
    """Tells the test when the inspector has something new."""

    def __init__(self) -> None:
        self.woken: queue.SimpleQueue[None] = queue.SimpleQueue()

    def wake(self) -> None:
        self.woken.put(None)

    def say(self, text: str) -> None: ...

    def close(self) -> None: ...


class Bench:
    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        shell: Any = ListeningShell()
        self.front = DisplayManager(shell, Settings)
        self.viewer = HeardViewer()

    def inspect(self, future: ObjectFuture, limits: Limits = LIMITS) -> Inspector:
        future.wait()
        inspector = Inspector(future, self.front, limits)
        inspector.attach(self.viewer)
        self.viewer.woken.get(timeout=WAIT_S)  # the call has ended
        inspector.content(now_s=1050.0)  # begins to read
        return inspector

    def next(self, inspector: Inspector) -> PageContent:
        """What is shown once the reader has answered."""
        self.viewer.woken.get(timeout=WAIT_S)
        return inspector.content(now_s=1050.0)

    def press(self, inspector: Inspector, ask: str) -> PageContent:
        inspector.answer(ask)
        return self.next(inspector)


@pytest.fixture
def bench(embedded: EmbeddedEngine) -> Iterator[Bench]:
    with Runner("inspected") as runner:
        bench = Bench(runner)
        yield bench
        bench.front.close()


def tab(content: PageContent, name: str) -> str:
    return next(each.html for each in content.tabs if each.id == name)


def enabled(content: PageContent) -> list[str]:
    return [button.ask for button in content.buttons if button.is_enabled]


def test_a_table_is_shown_in_pages_that_a_worker_cuts(bench: Bench) -> None:
    inspector = bench.inspect(bench.runner.service(frame_of)(45))
    first = bench.next(inspector)
    assert "Rows 1 to 20 of 45." in tab(first, "value")
    assert enabled(first) == ["next", "load", "reference", "close"]
    bench.press(inspector, "next")
    last = bench.press(inspector, "next")
    assert "Rows 41 to 45 of 45." in tab(last, "value")
    assert enabled(last) == ["previous", "load", "reference", "close"]
    assert "Rows 21 to 40 of 45." in tab(bench.press(inspector, "previous"), "value")
    assert inspector.value is None


def test_all_sides_of_a_call_have_a_tab(bench: Bench) -> None:
    content = bench.next(bench.inspect(bench.runner.service(frame_of)(3)))
    assert [each.title for each in content.tabs] == ["Value", "Text", "Output, 1 line", "Details"]
    assert "making 3" in tab(content, "output")
    assert "Session" in tab(content, "details")


def test_a_failed_call_begins_with_its_traceback(bench: Bench) -> None:
    content = bench.inspect(bench.runner.service(fails)()).content(now_s=1050.0)
    assert content.tabs[0].id == "traceback"
    assert "no rows" in tab(content, "traceback")
    assert enabled(content) == ["close"]


def test_the_full_value_is_read_only_when_somebody_asks(bench: Bench) -> None:
    inspector = bench.inspect(bench.runner.service(frame_of)(3))
    bench.next(inspector)
    content = bench.press(inspector, "load")
    assert "The full value is loaded" in tab(content, "value")
    assert len(inspector.value) == 3


def test_a_huge_result_is_looked_at_only_when_somebody_asks(bench: Bench) -> None:
    inspector = bench.inspect(bench.runner.service(frame_of)(3), Limits(worker_bytes=10))
    content = inspector.content(now_s=1050.0)
    assert "press Load preview" in tab(content, "value")
    assert "preview" in enabled(content)
    assert "Rows 1 to 3 of 3." in tab(bench.press(inspector, "preview"), "value")


def test_a_reference_is_made_when_somebody_asks_and_is_copied_from_then_on(bench: Bench) -> None:
    inspector = bench.inspect(bench.runner.service(frame_of)(3))
    before = next(button for button in bench.next(inspector).buttons if button.ask == "reference")
    content = bench.press(inspector, "reference")
    after = next(button for button in content.buttons if button.ask == "reference")
    assert (before.copies, after.copies[:42]) == ("", "import flamepy; flamepy.get_object(flamepy")
    assert "ObjectRef" in tab(content, "details")


def test_after_the_runner_has_closed_a_small_result_is_read_here(bench: Bench) -> None:
    future = bench.runner.service(frame_of)(3)
    future.wait()
    bench.runner.close()
    assert "Rows 1 to 3 of 3." in tab(bench.next(bench.inspect(future)), "value")


def test_an_inspector_is_final_only_when_it_is_closed(bench: Bench) -> None:
    inspector = bench.inspect(bench.runner.service(frame_of)(3))
    assert not bench.next(inspector).is_final
    inspector.answer("close")
    content = inspector.content(now_s=1050.0)
    assert content.is_final
    assert "DataFrame, 3 rows x 1 column" in content.text


def test_a_value_whose_representation_raises_is_told_and_not_raised() -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError("no words")

    seen = payload_of(Broken(), Limits(), 0, 20)
    assert seen.text == "Showing this Broken raised RuntimeError: no words"
    assert "no words" in seen.preview.note
