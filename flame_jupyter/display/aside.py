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
from collections import deque
from collections.abc import Callable

from flame_jupyter.display.clock import Clock
from flame_jupyter.display.preview import GivenUp, Limits, error_words, is_for_worker, preview, unfetched
from flame_jupyter.display.snapshot import FutureLike, Preview
from flame_jupyter.display.views import View

BUDGET_S = 2.0
LOOK_S = 0.5  # between two looks at a budget at most this much of it is spent: the process may have been stopped
WORKER_BUDGET_S = 10.0  # the first one starts a process and imports what the value is made of


def budget_s(future: FutureLike, limits: Limits) -> float:
    """How long the preview of this future may take."""
    return WORKER_BUDGET_S if is_for_worker(future.nbytes, limits) else BUDGET_S


def too_slow(budget_s: float) -> Preview:
    return Preview("", note=f"No preview: it took more than {budget_s:.0f} s. Call .get() to see the result.")


def start_preview(future: FutureLike, limits: Limits, on_ready: Callable[[Preview], object]) -> Callable[[], object]:
    """Make the preview of a finished future in a thread; ``on_ready`` is called there. Returns what ends it early."""

    def make() -> None:
        with contextlib.suppress(GivenUp):
            _speak_to_nobody()
            on_ready(preview_of(future, limits))

    def give_up() -> None:
        if thread.is_alive() and thread.ident is not None:
            # raised at its next step in Python; in native code, when that returns
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(GivenUp))

    run = contextvars.Context().run
    thread = threading.Thread(target=run, args=(make,), name="flame-jupyter-preview", daemon=True)
    thread.start()
    return give_up


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

    budget = budget_s(future, limits)
    give_up = start_preview(future, limits, keep)
    if any(is_ready.wait(LOOK_S) for _ in range(round(budget / LOOK_S))):
        return ready[0]
    give_up()
    return too_slow(budget)


def preview_of(future: FutureLike, limits: Limits) -> Preview:
    """Never raises."""
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
    return preview(value, limits)


def _from_worker(future: FutureLike, limits: Limits) -> Preview:
    answer = future.ask(preview, limits)
    if not answer.wait(WORKER_BUDGET_S):
        answer.cancel()
        return too_slow(WORKER_BUDGET_S)
    made = answer.get(timeout=0)
    assert isinstance(made, Preview)
    return made


class Previews:
    """The previews that views have asked for, in their order. Lives on the UI thread; ``post`` brings news there."""

    def __init__(
        self,
        post: Callable[[Callable[[], object]], object],
        limits: Callable[[], Limits],
        clock: Clock,
        on_ready: Callable[[], object],
    ) -> None:
        self._post = post
        self._limits = limits
        self._clock = clock
        self._on_ready = on_ready
        self._waiting: deque[View] = deque()
        self._left_s: float | None = None  # of the budget of the first one, which is being made
        self._looked_s = 0.0
        self._end_it: Callable[[], object] = bool

    def ask(self, view: View) -> None:
        self._waiting.append(view)
        self._begin()

    def give_up_the_slow_one(self) -> None:
        if self._left_s is None:
            return
        now_s = self._clock.now()
        self._left_s -= min(now_s - self._looked_s, LOOK_S)
        self._looked_s = now_s
        if self._left_s <= 0:
            self._end_it()
            view = self._waiting.popleft()
            view.preview = too_slow(budget_s(view.future, self._limits()))
            self._left_s = None
            self._begin()

    def clear(self) -> None:
        self._waiting.clear()
        self._left_s = None

    def _begin(self) -> None:
        if self._left_s is None and self._waiting:
            view, limits = self._waiting[0], self._limits()
            self._left_s, self._looked_s = budget_s(view.future, limits), self._clock.now()
            ready = functools.partial(self._take, view)
            self._end_it = start_preview(view.future, limits, lambda made: self._post(functools.partial(ready, made)))

    def _take(self, view: View, made: Preview) -> None:
        if not self._waiting or self._waiting[0] is not view:
            return  # it came too late: the view has said so already
        self._waiting.popleft()
        self._left_s = None
        view.preview = made
        self._begin()
        self._on_ready()
