# SPDX-License-Identifier: Apache-2.0
"""The output of a stream: it counts while parts are taken, says how the stream ended, and keeps nothing alive."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from IPython.utils.capture import capture_output

from flame_jupyter.display.model.formatting import clock_text
from flame_jupyter.display.sources.stream import StreamSource
from tests.notebook.shells import Shell


@dataclass
class HandStream:
    """The surface of an ObjectStream, moved by hand."""

    name: str = "Tape.play"
    id: int = 2
    count: int = 0
    state: str = "running"
    error: BaseException | None = None

    def done(self) -> bool:
        return self.state != "running"

    def close(self) -> None:
        self.state = "closed"


def test_a_running_stream_is_counted_and_changes_only_when_a_part_is_taken() -> None:
    stream = HandStream()
    source = StreamSource(stream)
    first = source.content(now_s=1000.0)
    assert (first.title, first.is_final) == ("Stream Tape.play #2", False)
    assert first.state == f"0 parts taken until {clock_text(1000.0)}"
    assert source.content(now_s=1060.0) == first
    stream.count = 1
    assert source.content(now_s=1061.0).state == f"1 part taken until {clock_text(1061.0)}"


def test_the_end_says_how_and_after_how_many_parts() -> None:
    stream = HandStream(count=3)
    source = StreamSource(stream)
    stream.state = "ended"
    content = source.content(now_s=1000.0)
    assert (content.text, content.status, content.is_final, content.buttons) == (
        "ended after 3 parts", "ended after 3 parts", True, (),
    )  # fmt: skip
    assert source.is_ended()


def test_a_failed_stream_shows_its_error_escaped() -> None:
    stream = HandStream(count=1, state="failed", error=ValueError("<b>no</b>"))
    content = StreamSource(stream).content(now_s=1000.0)
    assert content.text == "failed after 1 part\nValueError: <b>no</b>"
    assert "&lt;b&gt;no" in content.html


def test_the_stop_button_closes_the_stream() -> None:
    stream = HandStream()
    source = StreamSource(stream)
    (button,) = source.content(now_s=1000.0).buttons
    source.answer("something else")
    assert stream.state == "running"
    source.answer(button.ask)
    assert source.content(now_s=1000.0).text == "closed after 0 parts"


def test_a_display_does_not_keep_a_stream_that_the_program_has_dropped() -> None:
    stream = HandStream(count=4)
    source = StreamSource(stream)
    source.content(now_s=1000.0)
    del stream
    gc.collect()
    assert source.is_ended()
    assert source.content(now_s=1001.0).text == "closed after 4 parts"


CELLS = """%%flame_service rows
def rows(count):
    yield from range(count)
"""


def test_a_cell_streams_and_ipython_shows_the_stream(shell: Shell) -> None:
    shell.run(CELLS)
    assert shell.run("[part.get() for part in rows(3)]").value == [0, 1, 2]
    with capture_output() as seen:
        shell.ip.run_cell("stream = rows(2); display(stream)")
    (output,) = seen.outputs
    assert output.data["text/plain"].startswith(f"Stream rows #{shell['stream'].id}: 0 parts taken until ")
    shell.run("parts = list(stream)")
    with capture_output() as seen:
        shell.ip.run_cell("display(stream)")
    assert seen.outputs[0].data["text/plain"].endswith("\nended after 2 parts")


def test_an_async_cell_streams_too(shell: Shell) -> None:
    shell.run(CELLS)
    shell.run("taken = []\nasync for part in rows(3):\n    taken.append(await part)")
    assert shell["taken"] == [0, 1, 2]
