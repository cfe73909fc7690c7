# SPDX-License-Identifier: Apache-2.0
"""Previews are made aside: they run the user's code (unpickling, representations), which may be slow or never end.

Each runs in a daemon thread of its own, one at a time; one that exceeds its budget is ended, as far as Python can end
it. A big value is looked at by a worker: it never comes into this process.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from flame_jupyter.display.model.snapshot import FutureLike, Preview
from flame_jupyter.display.previews.preview import GivenUp, Limits, error_words, is_for_worker, preview, unfetched

BUDGET_S = 2.0  # of a representation
READ_BUDGET_S = 10.0  # of the value before it: the first one may import a big library
LOOK_S = 0.5  # between two looks at a budget at most this much of it is spent: the process may have been stopped
WORKER_BUDGET_S = 10.0  # the first one starts a process and imports what the value is made of


def too_slow(budget_s: float) -> Preview:
    return Preview("", note=f"No preview: it took more than {budget_s:.0f} s. Call .get() to see the result.")


class Making:
    """One preview in the making, in a thread of its own; ``on_ready`` is called there."""

    def __init__(self, future: FutureLike, limits: Limits, on_ready: Callable[[Preview], object]) -> None:
        self._budget_s = WORKER_BUDGET_S if is_for_worker(future.nbytes, limits) else READ_BUDGET_S
        self._left_s = self._budget_s
        self._has_read = False
        self._is_given_up = False
        run = functools.partial(contextvars.Context().run, self._make, future, limits, on_ready)
        self._thread = threading.Thread(target=run, name="flame-jupyter-preview", daemon=True)
        self._thread.start()

    def _make(self, future: FutureLike, limits: Limits, on_ready: Callable[[Preview], object]) -> None:
        with contextlib.suppress(GivenUp):
            _speak_to_nobody()
            on_ready(preview_of(future, limits, self._begin_to_show))

    def _begin_to_show(self) -> None:
        if self._is_given_up:
            raise GivenUp
        self._has_read = True

    def spend(self, seconds: float) -> Preview | None:
        """So much time has passed since the last look. Returns what is said of one that takes too long: it is ended."""
        if self._has_read and self._budget_s == READ_BUDGET_S:
            self._budget_s = self._left_s = BUDGET_S
        self._left_s -= min(seconds, LOOK_S)
        if self._left_s > 0:
            return None
        self._is_given_up = True
        if self._has_read and self._thread.is_alive() and self._thread.ident is not None:
            # Raised at the next step in Python; in native code, when that returns. Never while the value is read:
            # a module would stay half imported.
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self._thread.ident), ctypes.py_object(GivenUp))
        return too_slow(self._budget_s)


def _speak_to_nobody() -> None:
    """What a representation prints or warns of would appear below some cell of the user: in this thread it answers a
    request that no cell has made. ipykernel's streams know the request of a context; others print as ever.
    """
    for stream in (sys.stdout, sys.stderr):
        header = getattr(stream, "_parent_header", None)
        if isinstance(header, contextvars.ContextVar):
            header.set({"msg_id": "flame-jupyter-preview"})


def preview_within_budget(future: FutureLike, limits: Limits) -> Preview:
    """Make the preview now, waiting at most for its budget. Can be interrupted."""
    if (missing := unfetched(future.nbytes, limits)) is not None:
        return missing
    ready: list[Preview] = []
    is_ready = threading.Event()

    def keep(made: Preview) -> None:
        ready.append(made)
        is_ready.set()

    making = Making(future, limits, keep)
    while not is_ready.wait(LOOK_S):
        if (missing := making.spend(LOOK_S)) is not None:
            return missing
    return ready[0]


def preview_of(future: FutureLike, limits: Limits, on_read: Callable[[], object] = bool) -> Preview:
    """Never raises, unless ``on_read`` does, which is called before a value that was read here is looked at."""
    if (missing := unfetched(future.nbytes, limits)) is not None:
        return missing
    try:
        if is_for_worker(future.nbytes, limits):
            return _from_worker(future, limits)
        value = future.get(timeout=0)
    except GivenUp:
        raise
    except BaseException as error:  # noqa: BLE001 - decoding runs the user's code
        return Preview("", note=f"No preview: reading the result raised {error_words(error)}")
    on_read()
    return preview(value, limits)


def _from_worker(future: FutureLike, limits: Limits) -> Preview:
    answer = future.ask(preview, limits)
    if not answer.wait(WORKER_BUDGET_S):
        answer.cancel()
        return too_slow(WORKER_BUDGET_S)
    made = answer.get(timeout=0)
    assert isinstance(made, Preview)
    return made


class Previewed(Protocol):
    """What shows the preview of a result."""

    @property
    def future(self) -> FutureLike: ...

    def take_preview(self, made: Preview) -> None: ...


class Previews:
    """The previews that displayed calls have asked for, in their order.

    Lives on the UI thread; ``post`` brings there what other threads have made. now: monotonic seconds.
    """

    def __init__(
        self, post: Callable[[Callable[[], object]], object], limits: Callable[[], Limits], now: Callable[[], float]
    ) -> None:
        self._post = post
        self._limits = limits
        self._now = now
        self._waiting: dict[Previewed, None] = {}
        self._making: Making | None = None  # for the first one
        self._looked_s = 0.0
        self._is_closed = False

    def ask(self, asking: Previewed) -> bool:
        """Asked again and again, until it is there. False when none will come: the display ends."""
        if not self._is_closed:
            self._waiting.setdefault(asking)
            self._begin()
            self._give_up_the_slow_one()
        return not self._is_closed

    def close(self) -> None:
        self._is_closed = True
        self._waiting.clear()
        self._making = None

    def _give_up_the_slow_one(self) -> None:
        if self._making is None:
            return
        now_s = self._now()
        passed_s, self._looked_s = now_s - self._looked_s, now_s
        missing = self._making.spend(passed_s)
        if missing is not None:
            self._give(next(iter(self._waiting)), missing)

    def _begin(self) -> None:
        if self._making is None and self._waiting:
            first = next(iter(self._waiting))
            self._looked_s = self._now()
            ready = functools.partial(self._take, first)
            self._making = Making(first.future, self._limits(), lambda made: self._post(functools.partial(ready, made)))

    def _take(self, asking: Previewed, made: Preview) -> None:
        if next(iter(self._waiting), None) is asking:  # else it came too late, and that was said already
            self._give(asking, made)

    def _give(self, asking: Previewed, made: Preview) -> None:
        del self._waiting[asking]
        self._making = None
        asking.take_preview(made)
        self._begin()
