# SPDX-License-Identifier: Apache-2.0
"""What the front end is told and when: coalesced, within the budget, and the end of a call never lost."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from flame_jupyter.display.frontend.budget import BURST_MESSAGES, MESSAGES_PER_S, TokenBucket
from flame_jupyter.display.frontend.output_updater import PULSE_S
from flame_jupyter.display.views.mode import Facts, InProgram, Mode, Settings, choose, is_scripted
from flame_jupyter.display.views.shelf import SHELF_CHARS, SHELF_VIEWS, Shelf
from tests.notebook.display_parts import HandFuture, HandLive, Room, future_of, live_of


@pytest.fixture
def room() -> Iterator[Room]:
    room = Room()
    yield room
    room.retire()


def test_an_updater_with_nothing_displayed_sleeps(room: Room) -> None:
    assert room.updater.tick() is None


def test_running_calls_cost_one_message_now_and_then_for_all_of_them(room: Room) -> None:
    """Pages that hear nothing for ten seconds take the kernel for stopped."""
    views = [live_of(room.show(Mode.LIVE, is_live=True)) for _ in range(3)]
    room.pass_time(60)
    drawn = [len(each.drawn) for each in views]
    assert sorted(drawn)[:2] == [0, 0]
    assert 60 / 10 < sum(drawn) <= 60 / PULSE_S + 1


def test_a_burst_of_changes_is_one_message(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    room.pass_time(0.2)
    for line in range(1000):
        future_of(view).output += f"{line}\n"
        room.updater.tick()
    room.pass_time(0.5)
    assert len(live_of(view).drawn) == 1


def test_a_quiet_updater_looks_twice_a_second_and_a_change_makes_it_look_at_once(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    room.pass_time(10)
    assert max(wait or 0 for wait in room.pass_time(2)) == 0.5
    future_of(view).end()
    room.updater.wake()
    room.updater.tick()
    assert live_of(view).drawn[-1][0] == "succeeded"


def test_a_static_output_tells_the_elapsed_time_once_a_second(room: Room) -> None:
    room.show(Mode.UPDATED)
    room.pass_time(10)
    assert 8 <= room.page.count("body-3") <= 12
    assert "running for 59 s" in room.page.text("body-3") or "running for 58 s" in room.page.text("body-3")


def test_a_live_view_shows_the_end_for_a_moment_and_becomes_static(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    future_of(view).end()
    room.pass_time(0.1)
    room.run_next_event()  # the preview is ready
    room.pass_time(1.3)
    assert room.page.sent == []
    assert live.drawn[-1][0] == "succeeded"
    assert "Details" in live.drawn[-1][2]
    room.pass_time(0.5)
    assert view.live is None
    assert not live.is_closed, "a page that was loaded again has nothing else"
    assert room.page.text("body-3") == "Counter.add(4) #3: done in 2.3 s\nint, 28 bytes\n28"
    assert "pending" not in room.page.text("caption-3")
    assert room.updater.tick() is None


def test_a_static_output_settles_as_soon_as_its_preview_is_there(room: Room) -> None:
    view = room.show(Mode.SETTLED_ONCE)
    future_of(view).end()
    room.pass_time(0.1)
    assert not view.is_settled.is_set()
    room.run_next_event()
    room.pass_time(0.1)
    assert view.is_settled.is_set()
    assert room.page.count("body-3") == 1


def test_a_failed_call_settles_without_a_preview(room: Room) -> None:
    view = room.show(Mode.SETTLED_ONCE)
    future_of(view).error = ValueError("no")
    future_of(view).end("failed")
    room.pass_time(0.1)
    assert room.page.text("body-3").endswith("ValueError: no")


def test_a_preview_that_never_comes_is_left_behind_and_the_next_one_is_made(room: Room) -> None:
    slow, next_one = room.show(Mode.SETTLED_ONCE), room.show(Mode.SETTLED_ONCE, number=4)
    gate = future_of(slow).reading = threading.Event()
    future_of(slow).end()
    room.pass_time(0.1)
    future_of(next_one).end()
    room.pass_time(10.2)
    assert "more than 10 s" in room.page.text("body-3")
    room.run_next_event()
    room.pass_time(0.2)
    assert room.page.text("body-4").endswith("28")
    gate.set()
    room.pass_time(0.2)
    assert room.page.count("body-3") == 1


def test_the_time_while_the_process_was_stopped_does_not_count_against_a_preview(room: Room) -> None:
    """A laptop whose lid was closed for a minute."""
    view = room.show(Mode.SETTLED_ONCE)
    gate = future_of(view).reading = threading.Event()
    future_of(view).end()
    room.pass_time(0.1)
    room.clock.now_s += 60
    room.pass_time(0.2)
    gate.set()
    room.run_next_event()
    room.pass_time(0.2)
    assert room.page.text("body-3").endswith("28")


def test_two_hundred_calls_that_end_together_stay_within_the_budget_and_all_become_final(room: Room) -> None:
    views = [room.show(Mode.SETTLED_ONCE, number=number) for number in range(200)]
    room.pass_time(5)
    for view in views:
        future_of(view).end("cancelled")
    sent_before = len(room.page.sent)
    room.pass_time(1)
    assert len(room.page.sent) - sent_before <= BURST_MESSAGES + MESSAGES_PER_S
    room.pass_time(2)
    assert all("cancelled" in room.page.text(view.display_id) for view in views)


def test_ends_go_first_when_there_are_more_changes_than_the_budget_allows(room: Room) -> None:
    busy = [room.show(Mode.LIVE, number=number, is_live=True) for number in range(100)]
    ended = room.show(Mode.LIVE, number=1000, is_live=True)
    room.pass_time(5)
    for view in busy:
        future_of(view).output = "more"
    future_of(ended).end("cancelled")
    room.updater.wake()
    room.updater.tick()
    assert live_of(ended).drawn != []
    assert sum(live_of(view).drawn != [] for view in busy) < 100


def test_cancel_reaches_the_call_and_the_button_says_so(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    room.updater.answer(view, "cancel", "press 1")
    room.pass_time(0.2)
    assert future_of(view).cancels == 1
    assert live_of(view).drawn[-1][:2] == ("running", True)
    assert live_of(view).known == ["press 1"]


def test_a_cancel_that_fails_gives_the_button_back(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    class Refuses(HandFuture):
        def cancel(self) -> bool:
            raise RuntimeError("this cluster cannot")

    view = room.show_call(Refuses(), Mode.LIVE, is_live=True)
    room.updater.answer(view, "cancel")
    room.pass_time(0.2)
    assert live_of(view).drawn[-1][:2] == ("running", False)
    assert "cancel failed" in caplog.text


def test_a_view_that_has_settled_lets_go_of_its_future(room: Room) -> None:
    for number, mode in enumerate((Mode.LIVE, Mode.UPDATED, Mode.SETTLED_ONCE)):
        view = room.show(mode, number=number, is_live=mode is Mode.LIVE)
        known = weakref.ref(future_of(view))
        future_of(view).end("cancelled")
        room.pass_time(3)
        assert view.is_settled.is_set()
        gc.collect()
        assert known() is None, mode


def test_of_many_ends_the_oldest_widgets_are_forgotten_and_their_pages_keep_them(room: Room) -> None:
    lives = []
    for number in range(SHELF_VIEWS + 5):
        view = room.show(Mode.LIVE, number=number, is_live=True)
        lives.append(live_of(view))
        future_of(view).end("cancelled")
        room.pass_time(2.5, step_s=0.5)
    assert [live.is_let_go for live in lives].count(True) == 5
    assert lives[4].is_let_go
    assert not any(live.is_closed for live in lives)


def test_big_ends_are_forgotten_earlier() -> None:
    shelf, lives = Shelf(), [HandLive() for _ in range(3)]
    for live in lives:
        shelf.put(live, chars=SHELF_CHARS // 2)
    assert [live.is_let_go for live in lives] == [True, False, False]
    shelf.clear()
    assert all(live.is_let_go for live in lives)


def test_a_widget_that_breaks_is_replaced_by_static_output(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live_of(view).is_broken = True
    future_of(view).output = "more"
    room.pass_time(0.2)
    assert view.live is None
    assert "more" in room.page.text("body-3")
    future_of(view).end("cancelled")
    room.pass_time(0.2)
    assert view.is_settled.is_set()


def test_a_future_that_cannot_be_read_is_given_up_and_the_others_go_on(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    class Breaks(HandFuture):
        is_broken = False

        @property
        def created_s(self) -> float:
            if self.is_broken:
                raise RuntimeError("no clock")
            return 1000.0

        @created_s.setter
        def created_s(self, value: float) -> None: ...

    broken = room.show_call(Breaks(id=1), Mode.LIVE, is_live=True)
    Breaks.is_broken = True
    view = room.show(Mode.UPDATED)
    future_of(view).end("cancelled")
    room.pass_time(0.5)
    assert view.is_settled.is_set()
    assert caplog.text.count("display given up") == 1
    assert broken.live is None, "nothing would stop its clock"
    assert "running for" in room.page.text("body-1"), "as it was shown last"


def test_a_page_that_is_gone_harms_nothing(room: Room) -> None:
    view = room.show(Mode.UPDATED)
    room.page.is_gone = True
    room.pass_time(2)
    future_of(view).end("cancelled")
    room.pass_time(0.2)
    assert view.is_settled.is_set()


def test_what_ends_between_two_cells_of_a_program_is_sent_again_in_the_next_one(room: Room) -> None:
    view = room.show(Mode.SETTLED_ONCE)
    room.publisher.end_cell()
    future_of(view).end("cancelled")
    room.pass_time(0.2)
    assert room.page.count("body-3") == 1
    room.publisher.begin_cell()
    assert room.page.count("body-3") == 2
    room.publisher.begin_cell()
    assert room.page.count("body-3") == 2


def test_a_program_is_told_only_the_end(room: Room) -> None:
    view = room.show(Mode.SETTLED_ONCE)
    future_of(view).output = "more"
    room.pass_time(5)
    assert room.page.sent == []


def test_a_pending_output_can_be_brought_up_to_date(room: Room) -> None:
    view = room.show(Mode.SETTLED_ONCE)
    room.pass_time(1)
    room.updater.refresh([view])
    assert "running for 50.5" in room.page.text("body-3") or "running for 50 s" in room.page.text("body-3")


def test_the_end_of_the_kernel_is_said_of_what_has_not_ended(room: Room) -> None:
    pending, ended = (room.show(Mode.LIVE, number=number, is_live=True) for number in (1, 2))
    future_of(ended).end("cancelled")
    room.retire(kernel_ends=True)
    assert "the kernel has gone after" in room.page.text("body-1")
    assert "cancelled after" in room.page.text("body-2")
    assert "pending" not in room.page.text("caption-1")
    assert pending.is_settled.is_set()


def test_the_end_of_the_display_leaves_everything_static(room: Room) -> None:
    view = room.show(Mode.LIVE, is_live=True)
    live = live_of(view)
    room.retire()
    assert live.is_closed
    assert "; pending at" in room.page.text("caption-3")
    assert "pending at" in room.page.text("body-3")
    assert view.live is None


def test_a_bucket_gives_all_or_nothing_and_fills_with_time() -> None:
    bucket = TokenBucket(rate_per_s=10, capacity=5, tokens=5)
    assert bucket.take(3, now_s=0)
    assert not bucket.take(3, now_s=0)
    assert bucket.take(3, now_s=0.1)
    assert not bucket.take(6, now_s=1000)


def test_messages_that_could_not_wait_are_paid_later() -> None:
    bucket = TokenBucket(rate_per_s=10, capacity=5, tokens=5)
    bucket.spend(9, now_s=0)
    assert not bucket.take(1, now_s=0.4)
    assert bucket.take(1, now_s=0.51)


@pytest.mark.parametrize(
    ("facts", "settings", "expected"),
    [
        (Facts(has_kernel=True, is_scripted=False, has_widgets=True), Settings(), Mode.LIVE),
        (Facts(has_kernel=True, is_scripted=False, has_widgets=False), Settings(), Mode.UPDATED),
        (Facts(has_kernel=True, is_scripted=False, has_widgets=True), Settings(display="html"), Mode.UPDATED),
        (Facts(has_kernel=True, is_scripted=False, has_widgets=True), Settings(display="text"), Mode.UPDATED),
        (Facts(has_kernel=True, is_scripted=True, has_widgets=True), Settings(display="widget"), Mode.SETTLED_ONCE),
        (
            Facts(has_kernel=True, is_scripted=True, has_widgets=True, in_program=InProgram.PRINTED),
            Settings(),
            Mode.PRINTED,
        ),
        (Facts(has_kernel=True, is_scripted=True, has_widgets=True, keeps_widget=True), Settings(), Mode.LIVE),
        (Facts(has_kernel=False, is_scripted=False, has_widgets=True), Settings(), Mode.PRINTED),
        (Facts(has_kernel=True, is_scripted=False, has_widgets=True, live_widgets=50), Settings(), Mode.UPDATED),
    ],
)
def test_the_form_of_the_display_follows_from_the_front_end(facts: Facts, settings: Settings, expected: Mode) -> None:
    assert choose(facts, settings) is expected


@pytest.mark.parametrize(
    ("request_", "environ", "expected"),
    [
        ({"content": {"allow_stdin": False}}, {}, True),
        ({"content": {"allow_stdin": True}}, {}, False),
        ({"content": {"allow_stdin": False}}, {"SERVER_SOFTWARE": "voila/0.5.13"}, False),
        ({}, {}, False),
    ],
)
def test_a_program_is_known_by_its_request(
    request_: dict[str, object], environ: dict[str, str], expected: bool
) -> None:
    assert is_scripted(request_, environ) is expected
