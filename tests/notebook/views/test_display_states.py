# SPDX-License-Identifier: Apache-2.0
"""The states between the call and its result: whom it waits for, that the result is being read; and the reference."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from flame_jupyter.display.model.snapshot import take
from flame_jupyter.display.previews.reference import reference_text
from flame_jupyter.display.render import html, text
from flame_jupyter.display.views.call_content import CallContent, view_of
from flame_jupyter.display.views.mode import Mode, Settings
from flamepy import ObjectRef, Runner, RunnerClosed
from flamepy.engine.local.engine import EmbeddedEngine
from tests.notebook.display_parts import HandFuture, Room, future_of, live_of
from tests.notebook.views.test_display_text import words

BIG_BYTES = 12_000_000


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.retire()


def test_a_call_that_waits_names_the_calls_that_it_waits_for() -> None:
    shot = take(HandFuture(state="waiting", started_s=0.0, waits_for=("load", "train")), now_s=1002.0)
    assert text.plain(shot).startswith("Counter.add(4) #3: waiting for load, train, 2.0 s so far, pending at ")
    assert "‖ Waiting for load, train" in words(html.card(shot))
    assert view_of(CallContent(shot))["word"] == "Waiting for load, train"


def test_of_many_awaited_calls_three_are_named() -> None:
    shot = take(HandFuture(state="waiting", waits_for=("a", "b", "c", "d", "e")), now_s=1002.0)
    assert shot.word == "Waiting for a, b, c and 2 more"


def test_a_waiting_call_is_drawn_again_when_one_of_its_arguments_is_there(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    future_of(view).state, future_of(view).waits_for = "waiting", ("load", "train")
    room.pass_time(0.6)
    future_of(view).waits_for = ("train",)
    room.pass_time(0.6)
    assert [shot.word for shot in live_of(view).shots] == ["Waiting for load, train", "Waiting for train"]


def test_a_future_tells_whom_it_waits_for(embedded: EmbeddedEngine) -> None:
    with Runner("waits") as runner:
        import time

        nap, add = runner.service(time.sleep), runner.service(max)
        slow = nap(30)
        waiting = add(slow, slow, key=str)
        assert waiting.waits_for == (f"sleep #{slow.id}",)
        assert waiting.state == "waiting"
        slow.cancel()
        waiting.wait()
        assert waiting.waits_for == ()


def test_a_big_result_is_fetching_until_its_preview_is_there(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    future_of(view).end(nbytes=BIG_BYTES)
    room.pass_time(0.2)
    shot = live.shots[-1]
    assert (shot.state.icon, shot.word, live.drawn[-1][2]) == ("↓", "Fetching 12 MB", "")
    shown = view_of(CallContent(shot))
    assert (shown["ticks"], shown["time"], shown["facts"], shown["tone"]) == (False, "done in 2.3 s", "", "info")
    assert live.said == []
    room.run_next_event()  # the preview is ready
    room.pass_time(0.2)
    assert [each[0] for each in live.drawn] == ["fetching", "succeeded"]
    assert live.said == ["Counter.add number 3: Done in 2.3 s"]


def test_a_static_output_says_that_a_big_result_is_being_read(room: Room) -> None:
    view = room.show(Mode.UPDATED)
    future_of(view).end(nbytes=BIG_BYTES)
    room.pass_time(0.2)
    assert room.page.text("body-3") == "Counter.add(4) #3: fetching 12 MB, done in 2.3 s"
    room.run_next_event()
    room.pass_time(0.2)
    assert room.page.text("body-3") == "Counter.add(4) #3: done in 2.3 s\nint, 12 MB\n28"


def test_a_small_result_is_never_called_fetching(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    future_of(view).end()
    room.pass_time(0.2)
    assert [each[0] for each in live_of(view).drawn] == ["succeeded"]


# -- the reference


def test_a_reference_is_code_that_fetches_the_result(embedded: EmbeddedEngine) -> None:
    with Runner("referred") as runner:
        future = runner.service(max)(3, 28)
        code = reference_text(future)
        names: dict[str, object] = {}
        exec(code.replace("flamepy.get_object", "value = flamepy.get_object"), names)
        assert names["value"] == 28


def test_a_view_that_stays_offers_a_reference_and_gets_it_when_somebody_asks(room: Room) -> None:
    room.settings = Settings(settle="keep-widget", settle_after_s=0.0)
    view = room.show(Mode.LIVE, is_live=True)
    live, future = live_of(view), future_of(view)
    future.end()
    room.pass_time(0.1)
    room.run_next_event()
    room.pass_time(0.3)
    assert live.calls[-1].can_copy
    assert live.shots[-1].reference == ""
    room.updater.answer(view, "reference")
    room.run_next_event()
    room.pass_time(0.1)
    expected = f"import flamepy; flamepy.get_object(flamepy.{ObjectRef('', 'demo/counter-a1b2/7', 1)!r})"
    assert live.shots[-1].reference == expected
    assert "Reference" in live.drawn[-1][2]
    del future
    gc.collect()
    room.updater.answer(view, "reference")
    room.run_next_event()
    assert live.said[-1].startswith("No reference: the notebook has let go of this result.")


def test_a_view_that_becomes_static_offers_none(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    future_of(view).end()
    room.pass_time(0.1)
    assert not live_of(view).calls[-1].can_copy


def test_a_reference_that_cannot_be_had_is_told(room: Room) -> None:
    room.settings = Settings(settle="keep-widget")
    view = room.show(Mode.LIVE, is_live=True)
    future_of(view).error = RunnerClosed("the Runner is closed: take the value with get().")
    future_of(view).end()
    room.updater.answer(view, "reference")
    room.run_next_event()
    assert live_of(view).said[-1] == "No reference: the Runner is closed: take the value with get()."


def test_nothing_that_has_not_succeeded_gives_a_reference(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    room.updater.answer(view, "reference")
    assert room.posted.empty()
