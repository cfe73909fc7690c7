# SPDX-License-Identifier: Apache-2.0
"""A packet that runs: hear how far its worker is, let it know that we are there, and find out when it is lost.

A cluster may say for ever that a task runs whose executor is gone. The worker says so itself, in the object cache.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from flamepy.clock import monotonic_s
from flamepy.engine.cluster.calls.values import Objects
from flamepy.errors import ExecutorLost, FlameError
from flamepy.protocol.cluster.attendance import SIGN_S, WORKER_SILENT_S, Sign, cancels, control_of, sign_of

logger = logging.getLogger(__name__)

_BEGIN_S = 1.0  # a packet that has ended by then is not followed
_LOOK_S = 1.0
_CACHE_SILENT_S = 300.0  # without an answer of the cache for so long, nothing is known of the worker either


class Following:
    """prefix: below which caller and worker of the packet's session put objects. tell: is given each new sign."""

    def __init__(
        self,
        objects: Objects,
        prefix: str,
        packet_id: str,
        tell: Callable[[Sign], object],
        *,
        clock: Callable[[], float] = monotonic_s,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._objects = objects
        self._control = f"{prefix}/{control_of(packet_id)}"
        self._sign = f"{prefix}/{sign_of(packet_id)}"
        self._tell = tell
        self._clock = clock
        self._pause = pause
        self._version: int | None = None

    async def until_lost(self, cancelled: Callable[[], Iterable[int]]) -> None:
        """Return when the worker is lost, by raising ExecutorLost. cancelled: the calls that shall end."""
        await self._pause(_BEGIN_S)
        heard_s = answered_s = told_s = self._clock()
        while True:
            now_s = self._clock()
            try:
                found = await asyncio.to_thread(self._objects.look, self._sign)
                if found is not None and self._is_new(*found):
                    heard_s = now_s
                if now_s - told_s >= SIGN_S:
                    await asyncio.to_thread(self._objects.tell, self._control, cancels(cancelled()))
                    told_s = now_s
                answered_s = now_s
            except FlameError as error:
                logger.debug("cache does not answer error=%s", error)
                heard_s = now_s  # what is not heard now says nothing of the worker
            if now_s - heard_s >= WORKER_SILENT_S:
                raise ExecutorLost("it", f"its worker gave no sign of life for {WORKER_SILENT_S:.0f} s")
            if now_s - answered_s >= _CACHE_SILENT_S:
                raise ExecutorLost("it", f"the object cache, which tells of it, was silent for {_CACHE_SILENT_S:.0f} s")
            await self._pause(_LOOK_S)

    def write_control(self, cancelled: Iterable[int]) -> None:
        """Tell the worker which calls shall end. Raises FlameError."""
        self._objects.put_parts(self._control, [cancels(cancelled)])

    def _is_new(self, version: int, data: memoryview) -> bool:
        if version == self._version:
            return False
        self._version = version
        sign = Sign.read(data)
        if sign is not None:
            self._tell(sign)
        return True
