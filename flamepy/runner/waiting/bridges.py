# SPDX-License-Identifier: Apache-2.0
"""An ObjectFuture in the two other worlds of waiting: ``concurrent.futures`` and ``asyncio``."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flamepy.core.task import TaskState
from flamepy.errors import CallTimeout, FlameError
from flamepy.runner.waiting.awaited import Awaited

if TYPE_CHECKING:
    from flamepy.engine.api import Engine
    from flamepy.engine.completion import Completion

# A kernel delivers an interrupt to an awaiting cell only when the event loop turns: so it must turn now and then.
HEARTBEAT_S = 0.2


class ConcurrentFuture(concurrent.futures.Future[Any]):
    """Knows that the call has ended from the engine's thread; decodes value and error in the thread that asks."""

    _source: Awaited

    @classmethod
    def of(cls, source: Awaited) -> ConcurrentFuture:
        self = cls()
        self._source = source
        source.add_done_callback(self._source_ended)
        return self

    def _source_ended(self, source: Awaited) -> None:
        if source.state == "succeeded":
            self.set_result(None)
        elif source.cancelled():
            super().cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_exception(RuntimeError("the call failed"))  # never seen: exception() reads the real one

    def cancel(self) -> bool:
        """Cancel the call itself; this future is cancelled once the engine says so."""
        return self._source.cancel()

    def running(self) -> bool:
        return self._source.running()

    def result(self, timeout: float | None = None) -> Any:
        self._wait(timeout)
        return self._source.get()

    def exception(self, timeout: float | None = None) -> FlameError | None:
        self._wait(timeout)
        return self._source.exception()

    def _wait(self, timeout_s: float | None) -> None:
        if not self._source.wait(timeout_s):
            raise CallTimeout(f"{self._source.name} has no result after {timeout_s} s of waiting: wait longer.")


class Standard(concurrent.futures.Future[None]):
    """What ``concurrent.futures.wait`` and ``as_completed`` see of an ObjectFuture: its end, not its value.

    They read attributes of their own futures that have no public names; those of ``seen`` are their values.
    """

    def __init__(self, completion: Completion) -> None:
        super().__init__()
        completion.on_done(lambda: self._end(completion.state is TaskState.CANCELLED))

    def _end(self, is_cancelled: bool) -> None:
        if is_cancelled:
            self.cancel()
            self.set_running_or_notify_cancel()
        else:
            self.set_result(None)

    def seen(self) -> tuple[Any, str]:
        """The lock that guards the end, and the name of the state."""
        return self._condition, self._state

    def waiters_for(self, future: Awaited) -> Waiters:
        return Waiters(self._waiters, future)


class Waiters:
    """The list into which a wait function puts what it wants to be told by; it is told of ``future``."""

    def __init__(self, waiters: list[Any], future: Awaited) -> None:
        self._list = waiters
        self._future = future

    def append(self, waiter: Any) -> None:
        self._list.append(_Waiter(waiter, self._future))

    def remove(self, waiter: Any) -> None:
        self._list[:] = [each for each in self._list if each.waiter is not waiter or each.future is not self._future]


class _Waiter:
    def __init__(self, waiter: Any, future: Awaited) -> None:
        self.waiter = waiter
        self.future = future

    def add_result(self, _: object) -> None:
        self.waiter.add_result(self.future)

    def add_cancelled(self, _: object) -> None:
        self.waiter.add_cancelled(self.future)


def called_in_its_loop(fn: Callable[[Any], object]) -> Callable[[Any], object]:
    """A callback of ``asyncio.wait``, which has to run in the event loop that waits."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return fn

    def call_back(future: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and its waits with it
            loop.call_soon_threadsafe(fn, future)

    return call_back


async def wait_in_loop(engine: Engine, completion: Completion) -> None:
    """Return when the call has ended; any event loop, any thread."""
    if not completion.is_done():
        ended = LoopEvent()
        completion.on_done(ended.set)
        await ended.wait_until(completion.is_done, engine)


class LoopEvent:
    """Made in an event loop, set from any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._event = asyncio.Event()

    def set(self) -> None:
        # the loop may be closed before it happens, and its waits with it
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._event.set)

    async def wait_until(self, is_so: Callable[[], bool], engine: Engine) -> None:
        """Return when ``is_so()``, which is asked when the event is set, and at each heartbeat."""
        with engine.slot_released():
            while not is_so():
                with contextlib.suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._event.wait(), HEARTBEAT_S)
