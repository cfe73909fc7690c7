# SPDX-License-Identifier: Apache-2.0
"""A snapshot in words and in HTML: complete, escaped, readable without styles, offline."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import duration_text, printed_text, size_text, tail
from flame_jupyter.display.model.problem import Problem, problem_from_error
from flame_jupyter.display.model.snapshot import Preview, Snapshot, take
from flame_jupyter.display.render import bundles, html, text
from flame_jupyter.display.views.call_content import CallContent, view_of
from flame_jupyter.display.widgets.code import FUTURE_SCRIPT
from flamepy.errors import DependencyFailed, TaskFailed, WorkerLost
from tests.notebook.display_parts import HandFuture


def snapshot_of(future: HandFuture, preview: Preview | None = None) -> Snapshot:
    return take(future, now_s=1002.0, preview=preview)


def done(preview: Preview | None = None, **changes: object) -> Snapshot:
    future = HandFuture(**changes)  # type: ignore[arg-type]
    future.end()
    return snapshot_of(future, preview)


class Words(HTMLParser):
    """What remains when all markup and all styles are stripped; also checks that tags are balanced."""

    VOID = ("img", "br", "hr")
    INLINE = ("span", "strong", "code")

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        if tag not in self.INLINE:
            self.text += " "

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def words(page: str) -> str:
    parser = Words()
    parser.feed(page)
    assert parser.open == []
    return " ".join(parser.text.split())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, "0 s"), (0.0003, "0.3 ms"), (0.004, "4.0 ms"), (0.02, "20 ms"), (0.3, "0.3 s"), (9.94, "9.9 s"), (9.96, "9 s"),
     (59.9, "59 s"), (185, "3 min 5 s"), (7440, "2 h 4 min")],
)  # fmt: skip
def test_a_duration_is_said_as_people_say_it(seconds: float, expected: str) -> None:
    assert duration_text(seconds) == expected


@pytest.mark.parametrize(
    ("nbytes", "expected"),
    [(1, "1 byte"), (999, "999 bytes"), (1_200, "1.2 kB"), (12_000_000, "12 MB"), (2_000_000_000, "2.0 GB"),
     (3_000_000_000_000, "3.0 TB")],
)  # fmt: skip
def test_a_size_has_a_unit(nbytes: int, expected: str) -> None:
    assert size_text(nbytes) == expected


def test_captured_output_reads_as_a_terminal_would_show_it() -> None:
    assert printed_text("\x1b[31mred\x1b[0m\n 10%\r 50%\r100%\r\nend\x00\n") == "red\n100%\nend"


def test_the_tail_of_a_long_text_begins_at_a_line_and_says_that_something_is_missing() -> None:
    assert tail("one\ntwo\nthree\nfour", max_chars=11) == "…\nthree\nfour"
    assert tail("short", max_chars=11) == "short"


@pytest.mark.parametrize("state", CallState)
def test_every_state_has_a_word_an_icon_and_complete_output(state: CallState) -> None:
    shot = snapshot_of(HandFuture(state=state.engine_name))
    assert shot.word
    assert len(shot.state.icon) == 1
    assert view_of(CallContent(shot))["word"] == shot.word
    for bundle in (CallContent(shot).whole(), CallContent(shot).body()):
        assert shot.word.lower() in str(bundle["text/plain"])
        assert shot.word in words(str(bundle["text/html"]))


def test_the_script_tells_the_end_of_the_kernel_in_the_words_of_the_state() -> None:
    """It is the one state that no kernel can send."""
    gone = CallState.GONE
    said = (
        f'{{ tone: "{gone.tone}", icon: "{gone.icon}", state: "{gone.engine_name}", word: "{gone.word}", facts: "" }}'
    )
    assert f"LOST = {said}" in FUTURE_SCRIPT


def test_a_state_that_this_version_does_not_know_is_shown_by_its_name() -> None:
    assert "Dreaming" in words(html.card(snapshot_of(HandFuture(state="dreaming"))))


def test_a_pending_output_says_when_that_was_true() -> None:
    shot = snapshot_of(HandFuture())
    at = time.strftime("%H:%M:%S", time.localtime(1002.0))
    assert text.plain(shot) == f"Counter.add(4) #3: running for 1.5 s, pending at {at}"
    assert f"pending at {at}" in words(html.card(shot))
    assert f"pending at {at}" in text.caption(shot)
    assert f"pending at {at}" in words(html.caption(shot))


def test_a_finished_caption_no_longer_says_pending() -> None:
    shot = done()
    assert "pending" not in text.caption(shot) + html.caption(shot)


def test_a_result_is_complete_in_words() -> None:
    shot = done(Preview("int", "28"), output="added\n")
    assert text.plain(shot) == "Counter.add(4) #3: done in 2.3 s\nint, 28 bytes\n28\nOutput, 1 line:\nadded"


def test_a_short_result_stands_in_the_line_of_the_state() -> None:
    assert "✓ Done in 2.3 s → 28 int, 28 bytes" in words(html.card(done(Preview("int", "28"))))


def test_a_long_result_stands_below_the_line_of_the_state() -> None:
    page = html.card(done(Preview("list, 2 items", "[1,\n 2]")))
    assert "→" not in page
    assert "[1,\n 2]</pre>" in page


def test_the_caption_and_the_body_together_say_what_the_card_says() -> None:
    shot = done(Preview("int", "28"), output="x")
    assert words(html.card(shot)) == words(html.caption(shot)) + " " + words(html.body(shot))


def test_a_call_that_never_ran_says_so() -> None:
    future = HandFuture(started_s=0.0)
    future.end("cancelled", finished_s=1001.0)
    page = words(html.card(snapshot_of(future)))
    assert "Cancelled after 1.0 s" in page
    assert "Ran: not at all" in page


def test_times_that_run_backwards_give_no_negative_duration() -> None:
    assert snapshot_of(HandFuture(started_s=5000.0)).elapsed_s == 0.0


def test_everything_that_comes_from_the_user_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    error = TaskFailed("f", "E" + evil, evil, evil)
    future = HandFuture(name=evil, call_text=evil, output=evil, session_id=evil, task_id=evil, error=error)
    future.end("failed")
    shot = snapshot_of(future, Preview(evil, evil, note=evil))
    for bundle in (CallContent(shot).whole(), CallContent(shot).caption(), CallContent(shot).body()):
        assert "<script" not in str(bundle["text/html"])
        assert evil in words(str(bundle["text/html"]))


def test_the_html_asks_for_nothing_from_elsewhere() -> None:
    page = html.card(done(Preview("int", "28"), output="x")) + html.caption(snapshot_of(HandFuture()))
    assert not re.search(r"https?:|//|<script|<link|\bon\w+=", page)


def test_a_view_has_a_role_and_a_name_and_its_icons_are_silent() -> None:
    page = html.card(done(Preview("int", "28")))
    assert page.startswith('<div role="group" aria-label="Flame call Counter.add number 3"')
    assert re.findall(r"<span([^>]*)>[✓→]", page) == [
        f' aria-hidden="true" style="color:{html.COLOURS["success"]};font-weight:700"',
        ' aria-hidden="true"',
    ]


def test_colours_that_are_too_weak_for_text_never_colour_text() -> None:
    page = html.card(done(Preview("int", "28"), output="x"))
    coloured = re.findall(r"[;\"]color:([^;\"]*)[^>]*>([^<]*)<", page)
    assert [said for colour, said in coloured if colour in (html.COLOURS["success"], html.COLOURS["info"])] == ["✓"]


def test_a_failure_shows_the_users_exception_and_the_workers_traceback() -> None:
    future = HandFuture(error=TaskFailed("fit", "ValueError", "too big", "Traceback:\n  line 4\nValueError: too big"))
    future.end("failed")
    shot = snapshot_of(future)
    assert shot.problem == Problem("ValueError: too big", "Traceback:\n  line 4\nValueError: too big")
    assert "line 4" in text.plain(shot)
    assert "<details open" in html.card(shot)


def test_the_traceback_is_the_one_that_ipython_would_print() -> None:
    class Rendered(TaskFailed):
        def _render_traceback_(self) -> list[str]:
            rule = "\x1b[31m-----\x1b[39m"
            return [rule, "ValueError   Traceback", "Cell In[3], line 4, in fit\n----> 4 raise", f"\n{self}"]

    problem = problem_from_error(Rendered("fit", "ValueError", "too big", "the worker's own text"))
    assert problem == Problem("ValueError: too big", "Cell In[3], line 4, in fit\n----> 4 raise")


def test_a_lost_worker_is_told_with_its_cure() -> None:
    problem = problem_from_error(WorkerLost("fit", 12, -9))
    assert problem.headline.startswith("WorkerLost: worker 12 ended (killed by SIGKILL)")


def test_a_call_whose_argument_failed_says_that_it_did_not_run() -> None:
    problem = problem_from_error(DependencyFailed("fit", "ValueError", "too big", "Traceback"))
    assert "did not run" in problem.headline


def test_an_exception_without_a_message_is_told_by_its_type() -> None:
    assert problem_from_error(KeyError()).headline == "KeyError"


def test_an_error_that_cannot_be_read_is_said_to_be_so() -> None:
    class Unreadable(HandFuture):
        def exception(self, timeout: float | None = None) -> BaseException | None:
            raise ImportError("no module named gone")

    future = Unreadable()
    future.end("failed")
    assert "cannot be read (ImportError: no module named gone)" in text.plain(snapshot_of(future))


def test_a_display_that_wants_text_only_gets_no_html() -> None:
    assert list(CallContent(done()).whole(has_html=False)) == ["text/plain"]


def test_only_the_pending_output_holds_a_widget() -> None:
    shot = snapshot_of(HandFuture())
    assert bundles.with_widget(CallContent(shot).body(), "abc")[bundles.WIDGET_VIEW] == {
        "version_major": 2,
        "version_minor": 0,
        "model_id": "abc",
    }
    assert all(bundles.WIDGET_VIEW not in bundle for bundle in (CallContent(shot).whole(), CallContent(shot).body()))


def test_a_call_that_was_slow_because_of_imports_says_so() -> None:
    slow = done(importing_s=1.8)
    for shown in (text.plain(slow), words(html.card(slow))):
        assert "28 bytes, importing took 1.8 s" in shown
    assert "importing" not in text.plain(done(importing_s=0.2)), "nobody has noticed"
    assert "importing" not in text.plain(snapshot_of(HandFuture(importing_s=1.8))), "not while it runs"
