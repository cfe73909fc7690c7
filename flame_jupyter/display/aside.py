# SPDX-License-Identifier: Apache-2.0
"""Previews are made aside: they run the user's code (unpickling, representations), which may be slow or never end.

Each runs in a daemon thread of its own, one at a time; one that exceeds its budget is left behind. A big value is
looked at by a worker: it never comes into this process.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable

from flame_jupyter.display.preview import Limits, is_for_worker, preview, unfetched
from flame_jupyter.display.snapshot import FutureLike, Preview

BUDGET_S = 2.0
WORKER_BUDGET_S = 10.0  # the first one starts a process and imports what the value is made of


def budget_s(future: FutureLike, limits: Limits) -> float:
    """How long the preview of this future may take."""
    return WORKER_BUDGET_S if is_for_worker(future.nbytes, limits) else BUDGET_S


def too_slow(budget_s: float) -> Preview:
    return Preview("", note=f"No preview: it took more than {budget_s:.0f} s. Call .get() to see the result.")


def start_preview(future: FutureLike, limits: Limits, on_ready: Callable[[Preview], object]) -> None:
    """Make the preview of a finished future in a thread; ``on_ready`` is called there."""

    def make() -> None:
        on_ready(preview_of(future, limits))

    run = contextvars.Context().run
    threading.Thread(target=run, args=(make,), name="flame-jupyter-preview", daemon=True).start()


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
    start_preview(future, limits, keep)
    return ready[0] if is_ready.wait(budget) else too_slow(budget)


def preview_of(future: FutureLike, limits: Limits) -> Preview:
    """Never raises."""
    if (missing := unfetched(future.nbytes, limits)) is not None:
        return missing
    try:
        if is_for_worker(future.nbytes, limits):
            return _from_worker(future, limits)
        value = future.get(timeout=0)
    except Exception as error:  # noqa: BLE001 - decoding runs the user's code
        return Preview("", note=f"No preview: reading the result raised {type(error).__name__}: {error}")
    return preview(value, limits)


def _from_worker(future: FutureLike, limits: Limits) -> Preview:
    answer = future.ask(preview, limits)
    if not answer.wait(WORKER_BUDGET_S):
        answer.cancel()
        return too_slow(WORKER_BUDGET_S)
    made = answer.get(timeout=0)
    assert isinstance(made, Preview)
    return made
