# SPDX-License-Identifier: Apache-2.0
"""Who waits for a task to change: one future for each, which the change sets."""

from __future__ import annotations

import asyncio
from collections import defaultdict

from flamepy.core.task import Task
from flamepy.errors import FlameError, NotFound


class TaskWatchers:
    """Implements ``session_table.Watchers``. Used by the event loop's thread only."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, defaultdict[str, set[asyncio.Future[Task]]]] = defaultdict(
            lambda: defaultdict(set)
        )  # by session, by task

    def changed(self, task: Task) -> None:
        for future in self._waiting[task.session_id].pop(task.id, ()):
            if not future.done():
                future.set_result(task)

    def removed(self, session_id: str) -> None:
        self._fail(session_id, NotFound(f"session <{session_id}> was removed while its task was watched"))

    def end(self, error: FlameError) -> None:
        """Nothing changes any more."""
        for session_id in list(self._waiting):
            self._fail(session_id, error)

    async def change_of(self, task: Task) -> Task:
        """The task in its next state. Raises FlameError when there will be none."""
        future: asyncio.Future[Task] = asyncio.get_running_loop().create_future()
        waiting = self._waiting[task.session_id][task.id]
        waiting.add(future)
        try:
            return await future
        finally:
            waiting.discard(future)

    def _fail(self, session_id: str, error: FlameError) -> None:
        for futures in self._waiting.pop(session_id, {}).values():
            for future in futures:
                if not future.done():
                    future.set_exception(error)
