# SPDX-License-Identifier: Apache-2.0
"""From ``show`` to the settled output, with real widgets and the real UI thread, in front of a page that only listens.

Without a kernel, widgets talk to a comm that goes nowhere: everything but the wire is the real thing.
"""

from __future__ import annotations

import gc
import queue
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import ipywidgets
import pytest
from ipywidgets.widgets import widget as registry

from flame_jupyter.display import Settings
from flame_jupyter.display.frontend.display_manager import DisplayManager
from flame_jupyter.display.render.bundles import WIDGET_VIEW, Bundle
from flame_jupyter.display.sources.progress import Progress
from flame_jupyter.display.views.output import Output
from flame_jupyter.display.widgets.code import FUTURE_SCRIPT, FUTURE_STYLE
from flame_jupyter.display.widgets.live_widget import FutureWidget
from tests.notebook.display_parts import HandFuture

WAIT_S = 30.0


@dataclass
class ListeningShell:
    """What the display uses of a kernel's shell. ``sent``: (display id, bundle, is it an update)."""

    allow_stdin: bool = True
    msg_id: str = "cell-1"
    kernel: object = field(default_factory=object)
    sent: queue.SimpleQueue[tuple[str, Bundle, bool]] = field(default_factory=queue.SimpleQueue)

    @property
    def display_pub(self) -> ListeningShell:
        return self

    def publish(self, *, data: Bundle, metadata: object, transient: dict[str, str], update: bool) -> None:
        self.sent.put((transient["display_id"], data, update))

    def get_parent(self) -> dict[str, object]:
        return {"header": {"msg_id": self.msg_id}, "content": {"allow_stdin": self.allow_stdin}}

    def next(self) -> tuple[str, Bundle, bool]:
        return self.sent.get(timeout=WAIT_S)


class Stage:
    def __init__(self, *, settings: Settings | None = None, allow_stdin: bool = True) -> None:
        chosen = settings or Settings(settle_after_s=0.0)
        self.shell = ListeningShell(allow_stdin=allow_stdin)
        shell: Any = self.shell
        self.front = DisplayManager(shell, lambda: chosen)
        self.future = HandFuture()

    def show(self) -> list[tuple[str, Bundle, bool]]:
        self.front.show(self.future)
        return [self.shell.next() for _ in range(self.shell.sent.qsize())]


@pytest.fixture
def stage() -> Iterator[Stage]:
    stage = Stage()
    yield stage
    stage.front.close()


def widget_of(bundle: Bundle) -> FutureWidget:
    view: Any = bundle[WIDGET_VIEW]
    widget = registry._instances[view["model_id"]]
    assert isinstance(widget, FutureWidget)
    return widget


class HastyFuture(HandFuture):
    """Ends as soon as somebody has looked at it once."""

    @property
    def output(self) -> str:
        if not self.done():
            self.end()
        return ""

    @output.setter
    def output(self, _: str) -> None: ...


def test_a_call_that_ends_while_it_is_being_shown_settles_too(stage: Stage) -> None:
    stage.future = HastyFuture()
    (caption_id, _, _), (body_id, _, _) = stage.show()
    ends = dict([stage.shell.next()[:2], stage.shell.next()[:2]])
    assert ends.keys() == {caption_id, body_id}
    assert WIDGET_VIEW not in ends[body_id]
    assert "done in 2.3 s" in str(ends[body_id]["text/plain"])


def test_a_pending_future_is_a_caption_and_a_live_view(stage: Stage) -> None:
    (_, caption, _), (_, live, is_update) = stage.show()
    assert not is_update
    assert WIDGET_VIEW not in caption
    assert widget_of(live).view["word"] == "Running"
    assert set(live) == {WIDGET_VIEW, "text/html", "text/plain"}


def test_it_settles_in_place_and_leaves_no_widget_behind(stage: Stage) -> None:
    before = set(registry._instances)
    (caption_id, _, _), (body_id, _, _) = stage.show()
    stage.future.end()
    body, caption = stage.shell.next(), stage.shell.next()
    assert (body[0], body[2], caption[0], caption[2]) == (body_id, True, caption_id, True)
    assert WIDGET_VIEW not in body[1] | caption[1]
    assert "done in 2.3 s" in str(body[1]["text/plain"])
    stage.front.close()
    assert set(registry._instances) == before


def test_an_output_that_has_settled_is_held_by_nothing_of_the_display(stage: Stage) -> None:
    """Its last content may hold a picture of a megabyte."""
    stage.show()
    stage.future.end()
    stage.shell.next(), stage.shell.next()
    stage.front._ui.call(int, timeout_s=WAIT_S)  # the look that has settled it is over
    gc.collect()
    assert [each for each in gc.get_objects() if type(each) is Output] == []


def test_cancel_in_the_page_cancels_the_call(stage: Stage) -> None:
    _, (_, live, _) = stage.show()
    widget = widget_of(live)
    cancelled: queue.SimpleQueue[bool] = queue.SimpleQueue()
    widget.observe(lambda change: cancelled.put(change["new"]["buttons"][0]["text"] == "Cancelling"), "view")
    widget._handle_custom_msg({"ask": "cancel"}, [])
    assert cancelled.get(timeout=WAIT_S)
    assert stage.future.cancels == 1


def test_a_message_that_nobody_sends_is_ignored(stage: Stage) -> None:
    _, (_, live, _) = stage.show()
    for content in ({"ask": "format the disk"}, {}, "cancel", None):
        widget_of(live)._handle_custom_msg(content, [])
    assert stage.future.cancels == 0


def test_taking_the_display_back_leaves_the_pending_call_readable(stage: Stage) -> None:
    stage.show()
    stage.front.close()
    assert "pending at" in str(stage.shell.next()[1]["text/plain"])
    assert not any(isinstance(each, FutureWidget) for each in registry._instances.values())


def test_a_program_gets_no_widget_and_its_cell_ends_when_the_call_has_ended() -> None:
    stage = Stage(allow_stdin=False)
    ((display_id, pending, _),) = stage.show()
    assert WIDGET_VIEW not in pending
    stage.future.end()
    stage.front.end_cell()
    shown_id, final, is_update = stage.shell.next()
    assert (shown_id, is_update) == (display_id, True)
    assert "done in" in str(final["text/plain"])
    stage.front.close()


def test_a_programs_cell_that_waited_long_enough_says_that_the_call_is_still_pending() -> None:
    stage = Stage(settings=Settings(settle_timeout_s=0.01), allow_stdin=False)
    stage.show()
    stage.front.end_cell()
    assert "pending at" in str(stage.shell.next()[1]["text/plain"])
    stage.front.close()


def test_a_cell_of_a_person_never_waits(stage: Stage) -> None:
    stage.show()
    stage.front.begin_cell()
    stage.front.end_cell()
    assert stage.shell.sent.empty()


def test_only_so_many_views_are_live_at_one_time() -> None:
    stage = Stage(settings=Settings(max_live_widgets=1))
    assert len(stage.show()) == 2
    ((_, second, _),) = stage.show()
    assert WIDGET_VIEW not in second
    stage.front.close()


def test_the_script_that_travels_with_each_view_is_small() -> None:
    assert len(FUTURE_SCRIPT.encode()) < 6 * 1024
    assert len(FUTURE_STYLE.encode()) < 4096
    assert ipywidgets.__version__ >= "8"


def test_what_is_sent_of_a_view_is_small(stage: Stage) -> None:
    import json

    stage.future.output = "a long line of output\n" * 100_000
    stage.future.call_text = "f(" + "x" * 60 + ")"
    _, (_, live, _) = stage.show()
    widget = widget_of(live)
    assert len(json.dumps(widget.view)) < 8192
    assert len(widget.log) < 4200


def test_with_keep_widget_the_live_view_stays_and_reads_without_widgets_too() -> None:
    stage = Stage(settings=Settings(settle="keep-widget", settle_after_s=0.0, max_live_widgets=1))
    _, (body_id, live, _) = stage.show()
    stage.future.end()
    shown_id, final, is_update = stage.shell.next()
    assert (shown_id, is_update) == (body_id, True)
    assert "done in 2.3 s" in str(final["text/plain"])
    assert widget_of(final) is widget_of(live)
    assert widget_of(live).view["word"] == "Done"
    stage.shell.next()  # the caption
    stage.future = HandFuture(id=4)
    assert len(stage.show()) == 2, "a view that is kept does not count as live"
    stage.front.close()
    assert not any(isinstance(each, FutureWidget) for each in registry._instances.values())


def test_with_keep_widget_a_program_saves_the_state_of_the_widget_inside_the_cell() -> None:
    stage = Stage(settings=Settings(settle="keep-widget", settle_after_s=0.0), allow_stdin=False)
    _, (_, live, _) = stage.show()
    stage.future.end()
    stage.front.end_cell()
    _, final, _ = stage.shell.next()
    assert widget_of(final).view["word"] == "Done"
    assert WIDGET_VIEW in live
    stage.front.close()


def test_in_voila_a_page_is_a_widget_at_once_and_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """No output is replaced there after its cell"""
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    stage = Stage(allow_stdin=False)
    stage.front.show_source(Progress([stage.future]))
    (_, caption, _), (_, body, is_update) = stage.shell.next(), stage.shell.next()
    assert "0 of 1" in str(caption["text/plain"])
    assert WIDGET_VIEW in body
    assert not is_update
    view: Any = body[WIDGET_VIEW]
    widget = registry._instances[view["model_id"]]
    finals: queue.SimpleQueue[bool] = queue.SimpleQueue()
    widget.observe(lambda change: finals.put(change["new"]["final"]), "facts")
    stage.future.end("failed")  # which is told at once
    assert finals.get(timeout=WAIT_S)
    assert widget.comm is not None
    stage.front.close()
    assert stage.shell.sent.empty()
