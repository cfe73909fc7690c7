# SPDX-License-Identifier: Apache-2.0
"""Parts for the tests of the display: a future that ends when the test says so, a page that keeps what it is sent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render.bundles import Bundle
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
    """A live view that keeps what it was told to draw and to say."""

    drawn: list[tuple[str, bool, str]] = field(default_factory=list)
    shots: list[Snapshot] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    can_copy: bool = False
    is_closed: bool = False
    is_broken: bool = False
    model_id: str = "model-1"
    resent: int = 0
    is_let_go: bool = False
    known: list[str] = field(default_factory=list)

    def know(self, press: str) -> None:
        self.known.append(press)

    def release(self) -> None:
        self.is_let_go = True

    def draw(self, snapshot: Snapshot, *, is_cancelling: bool = False, body: str = "", can_copy: bool = False) -> None:
        if self.is_broken:
            raise LookupError("no comm")
        self.drawn.append((snapshot.state.value, is_cancelling, body))
        self.shots.append(snapshot)
        self.can_copy = can_copy

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
