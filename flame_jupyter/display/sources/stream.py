# SPDX-License-Identifier: Apache-2.0
"""A stream as an output: how many parts were taken so far, then how it ended.

It only looks. The display does not keep the stream: one that the program has dropped is closed, and shown as that.
"""

from __future__ import annotations

import weakref
from html import escape
from typing import Protocol

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import clock_text, counted, head
from flame_jupyter.display.render.html import FACE, MONO, icon_html
from flame_jupyter.display.views.content import Button
from flame_jupyter.display.views.mode import InProgram
from flame_jupyter.display.views.page_content import PageContent
from flame_jupyter.display.views.source import Source

ERROR_CHARS = 300
_SHOWN_AS = {
    "running": CallState.RUNNING, "ended": CallState.SUCCEEDED, "failed": CallState.FAILED,
    "closed": CallState.CANCELLED, "lost": CallState.LOST,
}  # fmt: skip
_STOP = Button("close", "Stop", "Stop the generator; the parts that were taken stay.")


class StreamLike(Protocol):
    """The part of an ObjectStream that a display needs."""

    @property
    def name(self) -> str: ...

    @property
    def id(self) -> int: ...

    @property
    def count(self) -> int: ...

    @property
    def state(self) -> str: ...

    @property
    def error(self) -> BaseException | None: ...

    def done(self) -> bool: ...

    def close(self) -> None: ...


class StreamSource(Source):
    """What the output of one stream shows."""

    refresh_s = 0.5
    in_program = InProgram.FOLLOWED

    def __init__(self, stream: StreamLike) -> None:
        self._stream = weakref.ref(stream)
        self._title = f"Stream {stream.name} #{stream.id}"
        self._count = -1
        self._counted_s = 0.0
        self._state = "running"
        self._error = ""

    def content(self, *, now_s: float) -> PageContent:
        self._look(now_s)
        is_final = self._state != "running"
        words = self._words()
        return PageContent(
            title=self._title,
            state=words,
            text=self._error if not is_final else "\n".join(filter(None, (words, self._error))),
            html=self._html(words),
            status=words if is_final else "",
            buttons=() if is_final else (_STOP,),
            is_final=is_final,
        )

    def answer(self, ask: str) -> None:
        stream = self._stream()
        if stream is not None and ask == _STOP.ask:
            stream.close()

    def is_ended(self) -> bool:
        stream = self._stream()
        return stream is None or stream.done()

    def _look(self, now_s: float) -> None:
        stream = self._stream()
        if stream is None:
            self._state = "closed" if self._state == "running" else self._state
            return
        self._state = stream.state  # first: what is read after it is at least as new
        if stream.count != self._count:
            self._count, self._counted_s = stream.count, now_s
        if stream.error is not None:
            self._error = head(f"{type(stream.error).__name__}: {stream.error}", max_chars=ERROR_CHARS)

    def _words(self) -> str:
        parts = counted(self._count, "part")
        if self._state == "running":
            # the time of the last part, not one that runs: a stream that is not read must not send anything
            return f"{parts} taken until {clock_text(self._counted_s)}"
        return f"{self._state} after {parts}"

    def _html(self, words: str) -> str:
        icon = icon_html(_SHOWN_AS[self._state])
        error = f'<div style="{MONO};overflow-wrap:anywhere">{escape(self._error)}</div>' if self._error else ""
        return f'<div style="{FACE}"><div>{icon} {escape(words)}</div>{error}</div>'
