# SPDX-License-Identifier: Apache-2.0
"""Progress, panel and inspector before a page that only listens: what they say, when, and that they end static."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from flame_jupyter.display.render.bundles import WIDGET_VIEW, Bundle
from flame_jupyter.display.sources.panel import Action, Panel, PanelFacts
from flame_jupyter.display.sources.progress import Progress, time_left
from flame_jupyter.display.views.mode import Mode
from flame_jupyter.display.views.output import Output
from flame_jupyter.display.widgets.code import PAGE_SCRIPT, PAGE_STYLE
from tests.notebook.display_parts import HandFuture, HandLive, Room


class PageRoom(Room):
    """A room that shows one source in an output "body"."""

    def __init__(self, *, has_widgets: bool = True) -> None:
        super().__init__()
        self.live = HandLive()
        self._has_widgets = has_widgets

    def show_source(self, source: Progress | Panel, mode: Mode = Mode.LIVE, *, appears_s: float = 0.0) -> Output:
        mode = mode if self._has_widgets else Mode.UPDATED
        output = Output(source, mode, "body", caption_id="caption" if mode is Mode.LIVE else "", appears_s=appears_s)
        output.live = self.live if mode is Mode.LIVE else None
        return self.add(output)

    def shown(self, display_id: str) -> Bundle:
        return dict(self.page.sent)[display_id]


def futures(*names: str) -> list[HandFuture]:
    return [HandFuture(id=number, name=name, call_text=f"{name}({number})") for number, name in enumerate(names, 1)]


# -- progress


def test_progress_appears_after_half_a_second_and_counts_by_state() -> None:
    room, calls = PageRoom(), futures("load", "load", "train")
    calls[1].state = "queued"
    room.show_source(Progress(calls), appears_s=room.clock.now_s + 0.5)
    room.pass_time(0.4)
    assert room.live.pages == []
    room.pass_time(0.8)
    shown = room.live.pages[-1]
    assert "load: 0 of 2 ended (1 running, 1 queued)\ntrain: 0 of 1 ended (1 running)" in shown.text
    caption = str(shown.caption()["text/plain"])
    assert "Progress of 3 calls: 0 of 3 ended" in caption
    assert "pending at" in caption


def test_progress_that_does_not_change_sends_nothing_but_the_time() -> None:
    room = PageRoom()
    room.show_source(Progress(futures("load")))
    room.pass_time(10)
    assert room.page.sent == []
    assert len(room.live.pages) <= 21


def test_the_first_error_is_told_as_soon_as_there_is_one() -> None:
    room, calls = PageRoom(), futures("load", "load")
    room.show_source(Progress(calls))
    room.pass_time(0.1)
    calls[1].error = ValueError("no rows")
    calls[1].end("failed")
    room.pass_time(0.1)
    assert room.live.pages[-1].status == "First error: load(2) #2: ValueError: no rows"
    assert "ValueError: no rows" in room.live.pages[-1].html


def test_progress_ends_as_static_text_with_the_final_numbers() -> None:
    room, calls = PageRoom(), futures("load", "load", "load")
    output = room.show_source(Progress(calls))
    room.pass_time(1)
    for call in calls[:2]:
        call.end()
    calls[2].end("cancelled")
    room.pass_time(1)
    assert output.is_settled.is_set()
    assert room.live.pages[-1].is_final
    assert "2 done, 1 cancelled" in room.live.pages[-1].html
    assert not room.live.is_closed, "a page that was loaded again has nothing else"
    assert WIDGET_VIEW not in room.shown("body")
    assert "2 done, 1 cancelled" in str(room.shown("body")["text/html"])
    assert "pending" not in str(room.shown("body")) + str(room.shown("caption"))


def test_with_leave_false_nothing_stays_of_the_bars() -> None:
    room, calls = PageRoom(), futures("load")
    room.show_source(Progress(calls, leave=False))
    room.pass_time(1)
    calls[0].end()
    room.pass_time(1)
    assert room.shown("body")["text/plain"] == ""
    assert "progressbar" not in str(room.shown("body"))


@pytest.mark.parametrize(("groups", "bars"), [(1, 1), (10, 10), (11, 10), (40, 10)])
def test_there_are_at_most_ten_bars_and_the_rest_share_one(groups: int, bars: int) -> None:
    calls = futures(*(f"step{number}" for number in range(groups)))
    html = Progress(calls).content(now_s=1050.0).html
    assert html.count('role="progressbar"') == bars
    assert ("all others" in html) == (groups > 10)


def test_futures_are_grouped_as_the_caller_says() -> None:
    calls = futures("a", "b", "c")
    text = Progress(calls, lambda future: "odd" if future.id % 2 else "even").content(now_s=1050.0).text
    assert text == "odd: 0 of 2 ended (2 running)\neven: 0 of 1 ended (1 running)"


def test_every_bar_has_a_name_a_value_and_words() -> None:
    calls = futures("load <1>", "load <1>")
    calls[0].end()
    html = Progress(calls).content(now_s=1050.0).html
    assert 'aria-label="load &lt;1&gt;" aria-valuemin="0" aria-valuemax="2" aria-valuenow="1"' in html
    assert 'aria-valuetext="1 of 2 ended, 1 done, 1 running"' in html


def test_the_time_that_is_left_is_guessed_once_calls_have_ended() -> None:
    calls = futures(*["load"] * 8)
    progress = Progress(calls)
    now_s = progress._began_s
    assert "s left" not in progress.content(now_s=now_s + 2).html
    calls[0].end()
    assert "s left" not in progress.content(now_s=now_s + 2).html, "one says nothing of the others"
    calls[1].end()
    calls[2].end()
    assert "about 5 s left at this pace" in progress.content(now_s=now_s + 3).html


def test_the_time_that_is_left_grows_when_later_calls_take_longer() -> None:
    began_s = 100.0
    quick = [(began_s, 0), (101.0, 4), (102.0, 8)]
    assert time_left(began_s, quick, 102.0, 8) == 2.0
    assert time_left(began_s, quick, 106.0, 8) == 6.0, "nothing has ended for a while"
    late = [(102.0, 8), (106.0, 9), (110.0, 10)]
    assert time_left(began_s, late, 110.0, 6) == 24.0, "as the last ones, not as all"
    early_ones_were_slow = [(110.0, 4), (111.0, 8)]
    assert time_left(began_s, early_ones_were_slow, 111.0, 8) == 11.0
    assert time_left(began_s, [(began_s, 0)], 200.0, 8) is None
    assert time_left(began_s, quick, 102.0, 0) is None


def test_cancel_all_cancels_what_has_not_ended() -> None:
    calls = futures("load", "load")
    calls[0].end()
    progress = Progress(calls)
    progress.answer("cancel")
    assert [call.cancels for call in calls] == [0, 1]


def test_a_call_that_has_ended_is_not_asked_again() -> None:
    """Ten thousand futures are counted twice a second."""

    class Counted(HandFuture):
        asked = 0

        def __getattribute__(self, name: str) -> object:
            if name == "state":
                Counted.asked += 1
            return super().__getattribute__(name)

    call = Counted()
    progress = Progress([call])
    call.end()
    progress.content(now_s=1050.0)
    before = Counted.asked
    progress.content(now_s=1051.0)
    assert Counted.asked == before


def test_no_futures_are_progress_that_has_ended() -> None:
    content = Progress([]).content(now_s=1050.0)
    assert content.is_final
    assert "nothing to wait for" in content.html


# -- pages


def test_without_widgets_a_page_is_static_and_published_again() -> None:
    room, calls = PageRoom(has_widgets=False), futures("load", "load")
    room.show_source(Progress(calls))
    room.pass_time(0.2)
    calls[0].end()
    room.pass_time(1)
    assert "1 done, 1 running" in room.page.text("body") or "1 done" in str(room.shown("body")["text/html"])
    assert WIDGET_VIEW not in room.shown("body")


def test_a_program_is_told_only_the_end_and_once_more_in_the_next_cell() -> None:
    room, calls = PageRoom(), futures("load")
    room.show_source(Progress(calls), Mode.SETTLED_ONCE)
    room.pass_time(3)
    assert room.page.sent == []
    room.publisher.end_cell()
    calls[0].end()
    room.pass_time(1)
    assert len(room.page.sent) == 1
    room.publisher.begin_cell()
    assert len(room.page.sent) == 2
    assert room.page.text("body").startswith("Progress of 1 call: ended in")


def test_a_page_that_is_taken_back_stays_readable() -> None:
    room = PageRoom()
    output = room.show_source(Progress(futures("load")))
    room.pass_time(0.2)
    room.retire()
    assert output.is_settled.is_set()
    assert room.live.is_closed
    assert WIDGET_VIEW not in room.shown("body")


def test_the_end_of_the_kernel_is_said_of_what_has_not_ended() -> None:
    room = PageRoom()
    room.show_source(Progress(futures("load")))
    room.pass_time(0.2)
    room.retire(kernel_ends=True)
    assert room.page.text("body").startswith("! The kernel has gone: this is how it was at ")
    assert "pending" not in str(room.shown("caption"))
    assert not room.live.is_closed, "its comm has gone with the kernel"


def test_a_source_that_breaks_is_given_up_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    def break_() -> PanelFacts | None:
        raise RuntimeError("no engine")

    room, calls = PageRoom(), futures("load")
    broken = room.show_source(Panel(break_))
    other = room.show_source(Progress(calls))
    calls[0].end()
    room.pass_time(1)
    assert broken.is_settled.is_set()
    assert other.is_settled.is_set()
    assert caplog.text.count("display given up") == 1


def test_the_end_of_the_display_reaches_the_outputs_behind_one_that_breaks() -> None:
    def break_() -> PanelFacts | None:
        raise RuntimeError("no engine")

    room = PageRoom()
    room.show_source(Panel(break_))
    after = room.show_call(HandFuture(), is_live=True)
    room.retire(kernel_ends=True)
    assert after.is_settled.is_set()
    assert "the kernel has gone after" in room.page.text("body-3")


def test_a_live_output_whose_source_breaks_becomes_static_with_what_it_showed_last() -> None:
    room, answers = PageRoom(), [FACTS, FACTS]

    def ask() -> PanelFacts | None:
        return answers.pop()  # raises IndexError when there is none left

    output = room.show_source(Panel(ask))
    room.pass_time(3)
    assert output.is_settled.is_set()
    assert room.live.pages[-1].is_final
    assert WIDGET_VIEW not in room.shown("body")
    assert "2 workers, idle" in room.page.text("body")


def test_a_button_that_was_pressed_is_drawn_again_whatever_comes_of_it() -> None:
    room, calls = PageRoom(), futures("load")
    output = room.show_source(Progress(calls))
    room.pass_time(1)
    before = len(room.live.pages)
    room.updater.answer(output, "cancel", "press 1")
    room.updater.tick()
    assert (len(room.live.pages), room.live.known) == (before + 1, ["press 1"])
    assert room.live.pages[-1].buttons[0].text == "Cancelling"
    assert not room.live.pages[-1].buttons[0].is_enabled


def test_an_output_whose_page_is_gone_is_not_drawn_again() -> None:
    """Pauses when the comm is closed"""
    room, facts = PageRoom(), [FACTS]
    room.show_source(Panel(lambda: facts[0]))
    room.pass_time(1.5)
    room.live.is_open = False
    before = (len(room.page.sent), len(room.live.pages))
    facts[0] = replace(FACTS, rows=(("Engine", "embedded, 2 of 2 workers busy"),))
    room.pass_time(5)
    assert (len(room.page.sent), len(room.live.pages)) == before
    room.live.is_open = True
    room.pass_time(1.5)
    assert "2 of 2" in room.live.pages[-1].text


def test_an_output_waits_for_its_turn_when_the_budget_is_spent() -> None:
    room = PageRoom()
    room.show_source(Progress(futures("load")))
    room.publisher.bucket.spend(200, now_s=room.clock.now_s)
    room.pass_time(0.5)
    assert room.live.pages == []
    room.pass_time(2)
    assert room.live.pages != []


def test_the_script_that_travels_with_each_page_is_small() -> None:
    assert len(PAGE_SCRIPT.encode()) < 6 * 1024
    assert len(PAGE_STYLE.encode()) < 4096


# -- the panel

FACTS = PanelFacts(
    "demo", (("Engine", "embedded, 2 workers, idle"),), ("service", "running"), (("train", "1"), ("<b>", "0"))
)


def panel_of(*answers: PanelFacts | None, act: Callable[[], object] = lambda: None) -> Panel:
    left = list(answers)
    return Panel(lambda: left.pop(0) if len(left) > 1 else left[0], [Action("stop", "Stop", "", act)])


def test_the_panel_shows_what_is_known_as_text_and_as_tables() -> None:
    content = panel_of(FACTS).content(now_s=1050.0)
    assert content.title == "Flame Runner demo"
    assert content.text == "Engine: embedded, 2 workers, idle\nservice  running\ntrain    1\n<b>      0"
    assert '<th scope="row"' in content.html
    assert "&lt;b&gt;" in content.html
    assert [button.text for button in content.buttons] == ["Stop"]


def test_the_panel_of_a_runner_that_has_closed_is_static_with_the_last_numbers() -> None:
    panel = panel_of(FACTS, None)
    panel.content(now_s=1050.0)
    content = panel.content(now_s=1060.0)
    assert content.is_final
    assert content.buttons == ()
    assert "train    1" in content.text
    assert "State: closed at" in content.text


def test_a_panel_that_does_not_change_sends_nothing() -> None:
    room = PageRoom()
    room.show_source(panel_of(FACTS))
    room.pass_time(10)
    assert len(room.live.pages) == 1


def test_more_services_than_fit_are_folded_away_and_stay_in_the_text() -> None:
    """At most 180 px tall when collapsed"""
    many = replace(FACTS, services=tuple((f"step{number}", "0") for number in range(9)))
    content = panel_of(many).content(now_s=1050.0)
    assert '<details style="margin:2px 0"><summary style="cursor:pointer">9 services</summary>' in content.html
    assert "step8" in content.text
    assert "<details" not in panel_of(FACTS).content(now_s=1050.0).html


def test_a_button_that_fails_says_why() -> None:
    def fail() -> None:
        raise OSError("no space left")

    panel = panel_of(FACTS, act=fail)
    panel._act(panel._actions[0])
    content = panel.content(now_s=1050.0)
    assert content.status == "Stop failed: OSError: no space left"
    assert content.status in content.html
    assert content.status in content.text


def test_a_request_that_no_button_makes_is_ignored() -> None:
    panel = panel_of(FACTS)
    panel.answer("format the disk")
    assert panel.content(now_s=1050.0).buttons[0].is_enabled
