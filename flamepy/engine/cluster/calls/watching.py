# SPDX-License-Identifier: Apache-2.0
"""One task of the cluster, to its end: whatever happens to the connection, and also where it cannot begin."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine

from flamepy.clock import monotonic_s
from flamepy.core.task import Task, TaskState
from flamepy.engine.cluster.calls.prospects import BIND_FAILED, BIND_GIVEN_UP, hindrance
from flamepy.engine.cluster.connection import Connection, back_off_s
from flamepy.errors import ConnectionLost, ExecutorLost, FlameError, InvalidState, NotFound
from flamepy.protocol.cluster.packets import SECOND_WORKER
from flamepy.wire import messages
from flamepy.wire.sessions import view_of
from flamepy.wire.tasks import task_of

_FIRST_LOOK_S = 0.05  # a task that began before its watch did says nothing of it
_LOOK_S = 5.0  # between looks at a task and its session, beside the watch, which may have missed something
HINDERED_S = 60.0  # a task that nothing can start for so long ends
_OVERLOOKED_S = 30.0  # a task that its session does not count for so long will never be started


class NotDelivered(Exception):
    """The executor's worker was gone, or the session closed, before the packet came: its calls have not begun."""


class _Condition:
    """For how long something has been so, at each look."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since_s: float | None = None

    def lasts_s(self, holds: bool) -> float:
        if not holds:
            self._since_s = None
            return 0.0
        now_s = self._clock()
        self._since_s = self._since_s or now_s
        return now_s - self._since_s


class TaskWatch:
    """abandoned: the sessions of this program that a lost executor may still hold."""

    def __init__(
        self,
        connection: Connection,
        session_id: str,
        task_id: str,
        abandoned: Callable[[], Collection[str]],
        *,
        clock: Callable[[], float] = monotonic_s,
    ) -> None:
        self._connection = connection
        self._session_id = session_id
        self._task_id = task_id
        self._abandoned = abandoned
        self._heard: asyncio.Queue[Task | FlameError | None] = asyncio.Queue()
        self._on_running: Callable[[], Coroutine[object, object, None]] | None = None
        self._beside: asyncio.Future[None] | None = None
        self._hindered = _Condition(clock)
        self._overlooked = _Condition(clock)

    async def until_ended(self, on_running: Callable[[], Coroutine[object, object, None]]) -> Task:
        """The task when it has ended. Raises FlameError when that cannot be known any more, or it cannot begin.

        on_running: is awaited from the beginning of the task on, beside it, and raises a FlameError that ends the watch
        before the cluster says that the task has ended.
        """
        self._on_running = on_running
        try:
            return await self._until_ended()
        finally:
            if self._beside is not None:
                self._beside.cancel()
                await asyncio.gather(self._beside, return_exceptions=True)

    async def _until_ended(self) -> Task:
        attempt = 0
        while True:
            watched = None
            try:
                with contextlib.suppress(ConnectionLost):  # the look waits for it to come back
                    watched = await self._watch()
                if watched is not None and watched.state is TaskState.SUCCEED:
                    return watched
                task = await self._look()  # what is watched comes without events
            except NotFound as error:
                raise ExecutorLost("it", "the cluster does not know its task any more") from error
            if task.state.is_terminal():
                return task
            await asyncio.sleep(back_off_s(attempt))  # the watch has ended early
            attempt += 1

    async def _watch(self) -> Task | None:
        """The task when it has ended, None when the watch has; from time to time look beside it. Raises FlameError."""
        listening = asyncio.ensure_future(self._listen())
        look_s = _FIRST_LOOK_S
        try:
            while True:
                try:
                    word = await asyncio.wait_for(self._heard.get(), look_s)
                except asyncio.TimeoutError:
                    look_s = min(4 * look_s, _LOOK_S)
                    word = await self._look()
                    if word.state is TaskState.PENDING:
                        await self._raise_if_it_cannot_begin()
                if isinstance(word, FlameError):
                    raise word
                if word is None or word.state.is_terminal():
                    return word
                if word.state is TaskState.RUNNING:
                    self._run_beside()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)  # the stream must be shut before its loop is

    async def _listen(self) -> None:
        request = messages.WatchTaskRequest(task_id=self._task_id, session_id=self._session_id)
        try:
            async for each in self._connection.stream("WatchTask", request):
                self._heard.put_nowait(task_of(each))
        except FlameError as error:
            self._heard.put_nowait(error)
        self._heard.put_nowait(None)

    def _run_beside(self) -> None:
        if self._beside is None:
            self._beside = asyncio.ensure_future(self._beside_it())

    async def _beside_it(self) -> None:
        assert self._on_running is not None, "see until_ended"
        try:
            await self._on_running()
        except FlameError as error:
            self._heard.put_nowait(error)

    async def _look(self) -> Task:
        request = messages.GetTaskRequest(task_id=self._task_id, session_id=self._session_id)
        return task_of(await self._connection.call("GetTask", request))

    async def _raise_if_it_cannot_begin(self) -> None:
        """Raises FlameError when the cluster starts no executors for the session any more, or nothing can take the task
        for long; NotDelivered when the session's only executor is lost.
        """
        request = messages.GetSessionRequest(session_id=self._session_id)
        session = view_of(await self._connection.call("GetSession", request))
        reasons = [event.message or "" for event in session.events if event.code == BIND_FAILED]
        if session.succeed + session.failed and any(SECOND_WORKER in reason for reason in reasons):
            raise NotDelivered("the worker that had the object has ended")  # others are refused, and it takes no task
        if any(event.code == BIND_GIVEN_UP for event in session.events) and not session.running:
            reason = reasons[-1].rstrip(". ") if reasons else "it does not say why"
            raise InvalidState(f"the cluster could not start a worker: {reason}. Mend that, and open the Runner again.")
        # an executor that took it and had to leave its session at that moment has not put it back (source of 0.6)
        if self._overlooked.lasts_s(not session.pending and not session.running) >= _OVERLOOKED_S:
            raise NotDelivered("the cluster has lost sight of its task")
        await self._raise_if_hindered_for_long()

    async def _raise_if_hindered_for_long(self) -> None:
        nodes = (await self._connection.call("ListNodes", messages.ListNodesRequest())).nodes
        executors = (await self._connection.call("ListExecutor", messages.ListExecutorRequest())).executors
        words = hindrance(nodes, executors, self._session_id, self._abandoned())
        if self._hindered.lasts_s(bool(words)) >= HINDERED_S:
            raise InvalidState(
                f"no executor of the cluster can take the call, for {HINDERED_S:.0f} s now: {words}. It has not begun. "
                "Have the cluster mended, then make the call again."
            )
