# SPDX-License-Identifier: Apache-2.0
"""What a screen reader is told, in which order, and at most one sentence in two seconds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from flame_jupyter.display.model.snapshot import take
from flame_jupyter.display.render.announcements import PAUSE_S, Announcements
from flame_jupyter.display.views.mode import Mode
from flame_jupyter.display.views.output import Output
from tests.notebook.display_parts import HandFuture, Room, future_of, live_of


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.retire()


def sentences(*views: Output) -> list[str]:
    """All that was said on the page; each sentence by one view."""
    return [text for view in views for text in live_of(view).said]


def test_one_call_is_told_by_its_name_and_number(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    future_of(view).end("cancelled")
    room.pass_time(0.1)
    assert live.said == ["Counter.add number 3: Cancelled after 2.3 s"]


def test_a_failure_is_told_with_its_reason(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    future_of(view).error = ValueError("too big")
    future_of(view).end("failed")
    room.pass_time(0.1)
    assert live.said == ["Counter.add number 3: Failed after 2.3 s, ValueError: too big"]


def test_calls_that_end_together_are_one_sentence_and_the_next_one_waits_two_seconds(room: Room) -> None:
    """5 calls finished, 1 failed"""
    views = [room.show(Mode.LIVE, number=number, is_live=True) for number in range(7)]
    lives = [live_of(view) for view in views]
    room.pass_time(0.1)

    def said() -> list[str]:
        return [text for live in lives for text in live.said]

    for view in views[:4]:
        future_of(view).end("cancelled")
    future_of(views[4]).error = ValueError("no")
    future_of(views[4]).end("failed")
    room.updater.wake()
    room.pass_time(0.3)
    assert said() == ["5 calls finished, 1 failed, 4 cancelled"]
    future_of(views[5]).end("lost")
    room.updater.wake()
    room.pass_time(1.0)
    future_of(views[6]).end("cancelled")
    room.updater.wake()
    room.pass_time(0.4)
    assert len(said()) == 1
    room.pass_time(0.8)
    assert sorted(said()) == ["2 calls finished, 1 lost, 1 cancelled", "5 calls finished, 1 failed, 4 cancelled"]


def test_a_view_stays_until_its_end_has_been_told_and_a_moment_more(room: Room) -> None:
    first, second = (room.show(Mode.LIVE, number=number, is_live=True) for number in (1, 2))
    future_of(first).end("cancelled")
    room.pass_time(0.5)
    future_of(second).end("cancelled")
    live = live_of(second)
    room.updater.wake()
    room.pass_time(3.0)
    assert live.said == ["Counter.add number 2: Cancelled after 2.3 s"]
    assert not second.is_settled.is_set(), "told 2 s after the first one, and shown 1.5 s longer"
    room.pass_time(0.6)
    assert second.is_settled.is_set()


def test_a_long_end_is_shown_by_the_live_view_too(room: Room) -> None:
    """A page that was loaded again has nothing else."""

    class Picture:
        def _repr_png_(self) -> bytes:
            return b"x" * 60_000

    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    future_of(view).value = Picture()
    future_of(view).end()
    room.pass_time(0.1)
    room.run_next_event()  # the preview is ready
    room.pass_time(0.3)
    assert live.said == ["Counter.add number 3: Done in 2.3 s"]
    assert "data:image/png" in live.drawn[-1][2]


def test_calls_that_have_no_live_view_count_too(room: Room) -> None:
    live_one, static = room.show(Mode.LIVE, number=1, is_live=True), room.show(Mode.UPDATED, number=2)
    live = live_of(live_one)
    for view in (live_one, static):
        future_of(view).end("cancelled")
    room.pass_time(0.1)
    assert live.said == ["2 calls finished, 2 cancelled"]


def test_a_page_without_a_live_view_is_told_nothing_later(room: Room) -> None:
    static = room.show(Mode.UPDATED, number=2)
    future_of(static).end("cancelled")
    room.pass_time(3)
    late = room.show(Mode.LIVE, number=1, is_live=True)
    room.pass_time(3)
    assert sentences(late) == []


def test_a_view_that_cannot_speak_does_not_keep_the_others_waiting(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    future_of(view).end("cancelled")
    live_of(view).is_broken = True
    room.pass_time(0.3)
    assert view.is_settled.is_set()


def told(*states: str) -> str:
    announcements = Announcements()
    for number, state in enumerate(states):
        announcements.note(take(HandFuture(id=number, state=state), now_s=1002.0))
    return announcements.tell(0.0)[0] if announcements.is_due(0.0) else ""


@pytest.mark.parametrize(
    ("states", "sentence"),
    [
        (("running",), "Counter.add number 0: Running"),
        (("running", "running"), "2 calls running"),
        (("succeeded", "succeeded", "failed", "running"), "3 calls finished, 1 failed, 1 running"),
        (("waiting", "queued"), ""),
    ],
)
def test_what_is_said_of_each_mixture(states: tuple[str, ...], sentence: str) -> None:
    assert told(*states) == sentence


def test_an_end_does_not_wait_for_the_beginning_that_was_just_told() -> None:
    announcements = Announcements()
    announcements.note(take(HandFuture(state="running"), now_s=1002.0))
    announcements.tell(10.0)
    announcements.note(take(HandFuture(state="running"), now_s=1002.0))
    assert not announcements.is_due(10.1)
    announcements.note(take(HandFuture(state="cancelled"), now_s=1002.0))
    assert announcements.is_due(10.1)
    announcements.tell(10.1)
    announcements.note(take(HandFuture(state="failed"), now_s=1002.0))
    assert not announcements.is_due(10.0 + PAUSE_S)
    assert announcements.is_due(10.1 + PAUSE_S)
