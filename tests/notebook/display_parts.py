# SPDX-License-Identifier: Apache-2.0
"""Parts for the tests of the display: a future that ends when the test says so, a page that keeps what it is sent."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flame_jupyter.display.frontend.display_manager import Connection
from flame_jupyter.display.frontend.output_updater import OutputUpdater
from flame_jupyter.display.frontend.publisher import OutputPublisher
from flame_jupyter.display.model.snapshot import FutureLike, Snapshot
from flame_jupyter.display.previews.preview_jobs import Previews
from flame_jupyter.display.render.announcements import Announcements
from flame_jupyter.display.render.bundles import Bundle
from flame_jupyter.display.render.folding import CellFailures
from flame_jupyter.display.sources.future import FutureSource, SharedByCalls
from flame_jupyter.display.views.call_content import CallContent
from flame_jupyter.display.views.clock import Clock
from flame_jupyter.display.views.content import Content
from flame_jupyter.display.views.mode import Mode, Settings
from flame_jupyter.display.views.output import Output
from flame_jupyter.display.views.page_content import PageContent
from flamepy import ObjectRef


@dataclass
class HandFuture:
    """The surface of an ObjectFuture, moved by hand."""

    id: int = 3
    name: str = "Counter.add"
    call_text: str = "Counter.add(4)"
    state: str = "running"
    created_s: float = 1000.0
    started_s: float = 1000.5
    finished_s: float = 0.0
    output: str = ""
    nbytes: int | None = None
    importing_s: float = 0.0
    ran_s: float | None = None
    session_id: str = "counter-a1b2"
    task_id: str = "7"
    value: Any = 28
    error: BaseException | None = None
    reading: threading.Event | None = None  # get() waits for it
    waits_for: tuple[str, ...] = ()
    callbacks: list[Callable[[Any], object]] = field(default_factory=list)
    cancels: int = 0
    spills: int = 0

    def end(self, state: str = "succeeded", *, nbytes: int = 28, finished_s: float = 1002.8) -> None:
        self.finished_s, self.nbytes, self.state = finished_s, nbytes, state
        for callback in self.callbacks:
            callback(self)

    def done(self) -> bool:
        return self.state in ("succeeded", "failed", "cancelled", "lost")

    def get(self, timeout: float | None = None) -> Any:
        assert timeout == 0, "a display never waits for a call"
        if self.reading is not None:
            assert self.reading.wait(30)
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value

    def ask(self, function: Callable[..., Any], /, *arguments: Any) -> HandFuture:
        """A worker's answer, as if it were there at once."""
        answer = HandFuture(value=function(self.value, *arguments), name=f"about {self.name}")
        answer.end()
        return answer

    def ref(self) -> ObjectRef:
        if self.error is not None:
            raise self.error
        return ObjectRef("", f"demo/{self.session_id}/{self.task_id}", 1)

    def spill(self) -> None:
        self.spills += 1

    def wait(self, timeout: float | None = None) -> bool:
        return self.done()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        assert timeout == 0, "a display never waits for a call"
        return self.error

    def cancel(self) -> bool:
        self.cancels += 1
        return not self.done()

    def add_done_callback(self, fn: Callable[[Any], object], /) -> None:
        self.callbacks.append(fn)


@dataclass
class Page:
    """Keeps every message, and what each output shows now."""

    sent: list[tuple[str, Bundle]] = field(default_factory=list)
    is_gone: bool = False

    def __call__(self, bundle: Bundle, *, display_id: str, is_update: bool) -> None:
        if self.is_gone:
            raise OSError("the page is gone")
        self.sent.append((display_id, bundle))

    def text(self, display_id: str) -> str:
        return str(dict(self.sent)[display_id]["text/plain"])

    def count(self, display_id: str) -> int:
        return sum(each == display_id for each, _ in self.sent)


@dataclass
class HandLive:
    """A live form that keeps what it was told to draw and to say."""

    contents: list[Content] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    model_id: str = "model-1"
    resent: int = 0
    is_open: bool = True
    is_closed: bool = False
    is_broken: bool = False
    is_let_go: bool = False

    @property
    def calls(self) -> list[CallContent]:
        return [each for each in self.contents if isinstance(each, CallContent)]

    @property
    def pages(self) -> list[PageContent]:
        return [each for each in self.contents if isinstance(each, PageContent)]

    @property
    def drawn(self) -> list[tuple[str, bool, str]]:
        """Of a call: its state, whether it is being cancelled, and what stands below the line of the state."""
        return [(each.snapshot.state.engine_name, each.is_cancelling, each.parts) for each in self.calls]

    @property
    def shots(self) -> list[Snapshot]:
        return [each.snapshot for each in self.calls]

    def know(self, press: str) -> None:
        self.known.append(press)

    def release(self) -> None:
        self.is_let_go = True

    def draw(self, content: Content) -> None:
        if self.is_broken:
            raise LookupError("no comm")
        self.contents.append(content)

    def say(self, text: str) -> None:
        if self.is_broken:
            raise LookupError("no comm")
        self.said.append(text)

    def resend(self) -> None:
        self.resent += 1

    def close(self) -> None:
        self.is_closed = True


@dataclass
class HandClock:
    """Seconds move when the test says so."""

    now_s: float = 50.0

    def now(self) -> float:
        return self.now_s

    def wall(self) -> float:
        return 1000.0 + self.now_s


class Room:
    """An updater, the page that it writes to, and a clock; what other threads post is run when the test says so."""

    def __init__(self) -> None:
        self.thread = threading.current_thread()
        self.clock = HandClock()
        self.page = Page()
        self.posted: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.publisher = OutputPublisher(self.page)
        self.settings = Settings()
        self.failures = CellFailures()
        clock, announcements = Clock(self.clock.now, self.clock.wall), Announcements()
        self.updater = OutputUpdater(self.publisher, clock, self.failures, announcements)
        self.previews = Previews(self.post, lambda: self.settings.limits, clock.now)
        self.calls = SharedByCalls(lambda: self.settings, self.previews, self.failures, announcements)

    def show(self, mode: Mode = Mode.UPDATED, *, number: int = 3, is_live: bool = False) -> Output:
        """A call that runs."""
        return self.show_call(HandFuture(id=number), mode, is_live=is_live)

    def show_call(
        self, future: FutureLike, mode: Mode = Mode.UPDATED, *, is_live: bool = False, cell: str = ""
    ) -> Output:
        source = FutureSource(future, self.calls, cell=cell)
        output = Output(source, mode, display_id=f"body-{future.id}", cell=cell)
        if is_live:
            output.live, output.caption_id = HandLive(), f"caption-{future.id}"
            output.shown = source.first(now_s=self.clock.wall())
        return self.add(output)

    def add(self, output: Output) -> Output:
        output.source.attach(Connection(output, self.updater, self.post))
        self.updater.add(output)
        return output

    def post(self, event: Callable[[], object]) -> None:
        """The thread of the test is the UI thread here."""
        if threading.current_thread() is self.thread:
            event()
        else:
            self.posted.put(event)

    def pass_time(self, seconds: float, step_s: float = 0.05) -> list[float | None]:
        """Returns how long the updater wanted to sleep after each step."""
        waits = []
        for _ in range(round(seconds / step_s)):
            self.clock.now_s += step_s
            waits.append(self.updater.tick())
        return waits

    def run_next_event(self) -> None:
        self.posted.get(timeout=30)()

    def retire(self, *, kernel_ends: bool = False) -> None:
        self.previews.close()
        self.updater.retire(kernel_ends=kernel_ends)


def future_of(output: Output) -> HandFuture:
    assert isinstance(output.source, FutureSource)
    assert isinstance(output.source.future, HandFuture)
    return output.source.future


def live_of(output: Output) -> HandLive:
    assert isinstance(output.live, HandLive)
    return output.live
