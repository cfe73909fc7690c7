# SPDX-License-Identifier: Apache-2.0
"""What the calls of one cell print, as an output below that cell: it grows while they run, and stays afterwards.

It is filled by echo.py. Its size is bounded: of what would be too long, the end is kept.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Protocol

from flame_jupyter.display.model.formatting import counted, printed_text, tail
from flame_jupyter.display.render.html import pre
from flame_jupyter.display.views.page_content import PageContent
from flame_jupyter.display.views.source import Source

NOTHING = PageContent("", "", "", "<div></div>")


class PrintingCall(Protocol):
    """The part of an ObjectFuture that is needed to show what it prints."""

    @property
    def id(self) -> int: ...

    @property
    def call_text(self) -> str: ...

    @property
    def state(self) -> str: ...

    @property
    def output(self) -> str: ...

    @property
    def stderr(self) -> str: ...

    def running(self) -> bool: ...


class EchoSource(Source):
    """Filled by the thread of the cell and by those that end calls, read by the UI thread."""

    widget = ""
    refresh_s = 0.5

    def __init__(self, limit_chars: int, *, only_stderr: bool = False) -> None:
        self._limit_chars = limit_chars
        self._only_stderr = only_stderr
        self._lock = threading.Lock()
        self._pending: dict[int, PrintingCall] = {}
        self._ended: deque[str] = deque()
        self._calls = self._ended_chars = 0
        self._is_closed = False

    def begin(self, call: PrintingCall) -> None:
        with self._lock:
            self._pending[call.id] = call

    def end(self, call: PrintingCall, block: str) -> None:
        """block: what is shown of it; "" when it has printed nothing."""
        with self._lock:
            self._pending.pop(call.id, None)
            if block:
                self._calls += 1
                self._ended.append(block)
                self._ended_chars += len(block)
                while len(self._ended) > 1 and self._ended_chars - len(self._ended[0]) > self._limit_chars:
                    self._ended_chars -= len(self._ended.popleft())

    def close(self) -> None:
        """The cell has ended: no more calls will come."""
        with self._lock:
            self._is_closed = True

    def is_ended(self) -> bool:
        with self._lock:
            return self._is_closed and not self._pending

    def content(self, *, now_s: float) -> PageContent:
        is_final = self.is_ended()  # first: what is read after it is at least as new
        with self._lock:
            blocks, calls, pending = list(self._ended), self._calls, list(self._pending.values())
        running = [each for each in pending if each.running()]
        so_far = [
            text for each in running if (text := block_of(each, self._limit_chars, only_stderr=self._only_stderr))
        ]
        if not blocks and not so_far:
            return PageContent("", "", "", NOTHING.html, is_final=True) if is_final else NOTHING
        text = tail(printed_text("\n".join(blocks + so_far)), max_chars=self._limit_chars)
        title = f"Printed by {counted(calls + len(so_far), 'call')}"
        return PageContent(title, "" if is_final else "so far", text, pre(text, name="Output"), is_final=is_final)


def block_of(call: PrintingCall, limit_chars: int, *, only_stderr: bool = False) -> str:
    """The call in a line, and below it what it has printed, or the end of that; "" when it is nothing."""
    output = (call.stderr if only_stderr else call.output).rstrip()
    return f"--- {call.call_text} #{call.id} {call.state}\n{tail(output, max_chars=limit_chars)}" if output else ""
