# SPDX-License-Identifier: Apache-2.0
"""A proxy whose connections break: after some bytes each is cut, closed on one side, or silent for a while."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass

CUT, HALF_CLOSE, DELAY = "cut", "half-close", "delay"
_CHUNK_BYTES = 4096
_DELAY_S = 0.2


@dataclass(frozen=True)
class Break:
    """What happens to one direction of a connection, when so many bytes have gone through it."""

    after_bytes: int
    kind: str


class CuttingProxy:
    """target: ``host:port``. Breaks connections while ``is_cutting``; counts what it broke in ``breaks``."""

    def __init__(self, target: str, seed: int) -> None:
        host, _, port = target.rpartition(":")
        self._target = (host, int(port))
        self._random = random.Random(seed)
        self.is_cutting = False
        self.breaks = 0
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever, name="cutting proxy")
        self._thread.start()

    def close(self) -> None:
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut(self) -> None:
        self._server.close()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _next_break(self) -> Break:
        """Within a conversation's first frames, or behind a big value; half of the connections hold."""
        after_bytes = int(2 ** self._random.uniform(4, 18)) if self._random.random() < 0.5 else 2**60
        return Break(after_bytes, self._random.choice([CUT, CUT, HALF_CLOSE, DELAY]))

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
        except (OSError, asyncio.CancelledError):  # nobody listens there, or the proxy ends
            writer.close()
            return
        try:
            directions = ((reader, far_writer), (far_reader, writer))
            moving = [asyncio.ensure_future(self._move(*each, self._next_break())) for each in directions]
            with contextlib.suppress(asyncio.CancelledError):  # the proxy ends
                await asyncio.wait(moving, return_when=asyncio.FIRST_EXCEPTION)
            for each in moving:
                each.cancel()
            await asyncio.gather(*moving, return_exceptions=True)
        finally:
            for each_writer in (writer, far_writer):
                each_writer.transport.abort()

    async def _move(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, planned: Break) -> None:
        """Raises ConnectionError when the whole connection is to end."""
        moved = 0
        while data := await reader.read(_CHUNK_BYTES):
            if self.is_cutting and moved + len(data) > planned.after_bytes:
                begin = max(0, planned.after_bytes - moved)
                self.breaks += 1
                if planned.kind == DELAY:
                    await asyncio.sleep(_DELAY_S)
                    planned = self._next_break()
                    planned = Break(moved + planned.after_bytes, planned.kind)
                else:
                    writer.write(data[:begin])
                    with contextlib.suppress(ConnectionError):
                        await writer.drain()
                    if planned.kind == HALF_CLOSE:
                        writer.write_eof()
                        return
                    raise ConnectionResetError("as planned")
            writer.write(data)
            await writer.drain()
            moved += len(data)
        with contextlib.suppress(OSError):
            writer.write_eof()


@contextlib.contextmanager
def cutting_proxy(target: str, seed: int) -> Iterator[CuttingProxy]:
    proxy = CuttingProxy(target, seed)
    try:
        yield proxy
    finally:
        proxy.close()
