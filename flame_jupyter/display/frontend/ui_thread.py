# SPDX-License-Identifier: Apache-2.0
"""The one thread that talks to the front end. Every other thread posts it an event and goes on.

It starts in an empty context: a thread that inherits the context of a cell sends its messages to that cell for ever.
It is a daemon, and it never dies of an event: what an event raises is logged.
"""

from __future__ import annotations

import contextvars
import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

Event = Callable[[], object]
RETRY_S = 1.0  # after a tick that raised
STOP_TIMEOUT_S = 5.0  # a publish may wait for a slow socket; longer means that it is stuck


class UiThread:
    """Runs events in the order in which they were posted, and ``tick`` between them.

    tick: does what is due and returns the seconds until it wants to be called again, None = only after an event.
    """

    def __init__(self, tick: Callable[[], float | None]) -> None:
        self._tick = tick
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_failed = False

    @property
    def is_running(self) -> bool:
        return self._thread is not None

    def post(self, event: Event) -> None:
        """Never blocks. The first event starts the thread."""
        self._events.put(event)
        if self._thread is None:
            self._start()

    def call(self, event: Event, *, timeout_s: float) -> bool:
        """Post, and wait until the event has run; False when ``timeout_s`` passed first. Can be interrupted."""
        has_run = threading.Event()

        def run() -> None:
            try:
                event()
            finally:
                has_run.set()

        self.post(run)
        return has_run.wait(timeout_s)

    def stop(self) -> None:
        """Run what was posted before, then end. Idempotent; a later ``post`` starts anew."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._events.put(None)
            thread.join(STOP_TIMEOUT_S)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                run = contextvars.Context().run
                self._thread = threading.Thread(target=run, args=(self._loop,), name="flame-jupyter-ui", daemon=True)
                self._thread.start()

    def _loop(self) -> None:
        while True:
            try:
                event = self._events.get(timeout=self._due_in_s())
            except queue.Empty:
                continue
            if event is None:
                return
            try:
                event()
            except Exception:
                logger.exception("display event failed event=%r", event)

    def _due_in_s(self) -> float | None:
        try:
            return self._tick()
        except Exception:
            # told once: it would come again with every tick
            logger.log(logging.DEBUG if self._has_failed else logging.ERROR, "display tick failed", exc_info=True)
            self._has_failed = True
            return RETRY_S
