# SPDX-License-Identifier: Apache-2.0
"""A context-local hook around every wait for calls: for a notebook, which decides what an interrupt of its cell means.

The core itself only waits, and lets an interrupt through. The hook is told which calls a wait is for, and sees
how it ends. The watch holds for one context (the cell that runs, and the tasks that it starts), not for other threads.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from typing import Any, Protocol

from flamepy.runner.waiting.awaited import Awaited


class Watch(Protocol):
    """What a front end puts around the waits for calls, to decide what an interrupt means.

    Example:
        >>> import contextlib
        >>> @contextlib.contextmanager
        ... def watch(futures, *, is_blocking):
        ...     try:
        ...         yield
        ...     except KeyboardInterrupt:
        ...         for future in futures:
        ...             future.cancel()
        ...         raise
    """

    def __call__(self, futures: Collection[Any], *, is_blocking: bool) -> AbstractContextManager[object]:
        """What is entered while calls are waited for.

        An interrupt arrives at its exit, as KeyboardInterrupt or asyncio's CancelledError, and must go through it.

        Args:
            futures: Of those calls.
            is_blocking: The thread stands still; else they are awaited.
        """
        ...


_watch: ContextVar[Watch | None] = ContextVar("flame_watch_of_waits", default=None)
_UNWATCHED: AbstractContextManager[None] = contextlib.nullcontext()


def watch_waits(watch: Watch | None) -> None:
    """From now on ``watch`` is called around the waits of this context; None = no hook."""
    _watch.set(watch)


def is_watched() -> bool:
    """Does a front end hear of the waits of this context?"""
    return _watch.get() is not None


def waiting_for(futures: Collection[Awaited], *, is_blocking: bool = True) -> AbstractContextManager[object]:
    """Put this around a wait of your own, to have a notebook treat it as it treats ``get`` and ``wait``.

    Waits inside of it are parts of this one, and are not told of.

    Args:
        futures: What is waited for.
        is_blocking: Does the thread stand still, as by default? Else they are awaited.

    Returns:
        What ``with`` takes.

    Example:
        >>> import concurrent.futures
        >>> from flamepy import Runner
        >>> from flamepy.runner import waiting_for
        >>> with Runner("docs") as runner:
        ...     futures = [runner.service(len)("four")]
        ...     with waiting_for(futures):
        ...         done, _ = concurrent.futures.wait(futures)
        ...     len(done)
        1
    """
    watch = _watch.get()
    if watch is None:
        return _UNWATCHED
    return _as_one(watch, futures) if is_blocking else watch(futures, is_blocking=False)


@contextlib.contextmanager
def _as_one(watch: Watch, futures: Collection[Awaited]) -> Iterator[None]:
    with watch(futures, is_blocking=True):
        _watch.set(None)
        try:
            yield
        finally:
            _watch.set(watch)
