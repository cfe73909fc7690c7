# SPDX-License-Identifier: Apache-2.0
"""Futures in the order in which their calls end: what ``Runner.select`` gives."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator, Sequence

from flamepy.engine.api import Engine
from flamepy.engine.completion import INTERRUPT_CHECK_S
from flamepy.runner.waiting.hooks import waiting_for
from flamepy.runner.waiting.object_future import ObjectFuture


class ObjectFutureIterator(Iterator[ObjectFuture]):
    """Each future once, those that have ended first, for ``for`` and ``async for``. Made by ``Runner.select``.

    Example:
        >>> from flamepy import Runner
        >>> with Runner("docs") as runner:
        ...     service = runner.service(len)
        ...     for future in runner.select([service("one"), service("two")]):
        ...         future.get()
        3
        3
    """

    def __init__(self, engine: Engine, futures: Sequence[ObjectFuture]) -> None:
        self._engine = engine
        self._ended: queue.SimpleQueue[ObjectFuture] = queue.SimpleQueue()
        self._left = len(futures)
        self._wake: Callable[[], object] | None = None
        self._awaited = {id(each): each for each in futures}  # what has been given is the caller's alone to keep
        for each in futures:
            each.add_done_callback(self._take_in)

    def __next__(self) -> ObjectFuture:
        if not self._left:
            raise StopIteration
        try:
            future = self._ended.get_nowait()
        except queue.Empty:
            with self._engine.slot_released(), waiting_for(self._awaited.values()):
                future = self._next_ended()
        return self._given(future)

    def _next_ended(self) -> ObjectFuture:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._ended.get(timeout=INTERRUPT_CHECK_S)

    def __aiter__(self) -> ObjectFutureIterator:
        return self

    async def __anext__(self) -> ObjectFuture:
        if not self._left:
            raise StopAsyncIteration
        if self._ended.empty():
            from flamepy.runner.waiting.bridges import LoopEvent

            event = LoopEvent()
            self._wake = event.set
            with waiting_for(self._awaited.values(), is_blocking=False):
                await event.wait_until(lambda: not self._ended.empty(), self._engine)
        return self._given(self._ended.get_nowait())

    def __len__(self) -> int:
        """How many are to come."""
        return self._left

    def _take_in(self, future: ObjectFuture) -> None:
        self._ended.put(future)
        if self._wake is not None:
            self._wake()

    def _given(self, future: ObjectFuture) -> ObjectFuture:
        self._left -= 1
        self._awaited.pop(id(future), None)
        return future
