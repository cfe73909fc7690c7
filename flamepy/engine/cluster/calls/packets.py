# SPDX-License-Identifier: Apache-2.0
"""One packet of calls as a task of the cluster: created once, watched to its end whatever happens to the connection."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from flamepy.clock import monotonic_s
from flamepy.core.task import Task, TaskState
from flamepy.engine.cluster.connection import PATIENCE_S, Connection, ConnectionLost, back_off_s
from flamepy.errors import ExecutorLost, FlameError, InvalidState, NotFound
from flamepy.protocol.cluster.packets import SECOND_WORKER
from flamepy.wire import messages
from flamepy.wire.sessions import view_of
from flamepy.wire.tasks import task_of, words_of_failure

logger = logging.getLogger(__name__)

_FIRST_LOOK_S = 0.05  # a task that began before its watch did says nothing of it
_LOOK_S = 5.0  # between looks at a task and its session, beside the watch, which may have missed something
_NOT_DELIVERED = "Connection refused"  # an executor's words, when nobody listens at its worker's socket any more
BIND_FAILED, BIND_GIVEN_UP = 1001, 1002  # codes of session events


class NotDelivered(Exception):
    """The executor's worker was gone, or the session closed, before the packet came: its calls have not begun."""


async def run_packet(
    connection: Connection, session_id: str, data: bytes, packet_id: str, on_running: Callable[[], object]
) -> bytes:
    """Have a worker run the packet; returns the output of its task.

    Raises NotDelivered, ExecutorLost (it had begun, and its end is not known), FlameError (it did not run, and why).
    """
    task_id = await _create(connection, session_id, data, packet_id)
    task = await _ended(connection, session_id, task_id, on_running)
    if task.state is TaskState.SUCCEED and task.output is not None:
        return task.output
    if task.state is TaskState.CANCELLED:
        raise NotDelivered("its session was closed, after an executor of it was lost")
    words = words_of_failure(task)
    if _NOT_DELIVERED in words:
        raise NotDelivered(words)
    raise ExecutorLost("it", words or "it said nothing")


async def _create(connection: Connection, session_id: str, data: bytes, packet_id: str) -> str:
    """Create the task; where the connection breaks meanwhile, look first whether it is there."""
    request = messages.CreateTaskRequest(task=messages.TaskSpec(session_id=session_id, input=data))
    attempt, began_s = 0, monotonic_s()
    while True:
        try:
            reply = await connection.call("CreateTask", request, is_repeatable=False)
        except ConnectionLost:
            if monotonic_s() - began_s >= PATIENCE_S:
                raise
            await asyncio.sleep(back_off_s(attempt))
            attempt += 1
            with contextlib.suppress(ConnectionLost):
                found = await _find(connection, session_id, packet_id.encode())
                if found is not None:
                    return found
        else:
            return str(reply.metadata.id)


async def _find(connection: Connection, session_id: str, mark: bytes) -> str | None:
    """The task whose input has the id of the packet in it."""
    async for each in connection.stream("ListTask", messages.ListTaskRequest(session_id=session_id)):
        if mark in each.spec.input[:256]:
            return str(each.metadata.id)
    return None


async def _ended(connection: Connection, session_id: str, task_id: str, on_running: Callable[[], object]) -> Task:
    """The task when it has ended. Raises FlameError when that cannot be known any more."""
    lost_since_s: float | None = None
    attempt = 0
    while True:
        try:
            watched = await _watch(connection, session_id, task_id, on_running)
            if watched is not None and watched.state is TaskState.SUCCEED:
                return watched
            task = await _look(connection, session_id, task_id)  # what is watched comes without events
            if task.state.is_terminal():
                return task
            lost_since_s = None
        except ConnectionLost as error:
            lost_since_s = lost_since_s or monotonic_s()
            if monotonic_s() - lost_since_s >= PATIENCE_S:
                raise ExecutorLost("it", f"the connection was lost, {error}") from error
        except NotFound as error:
            raise ExecutorLost("it", "the cluster does not know its task any more") from error
        await asyncio.sleep(back_off_s(attempt))  # the watch has ended early
        attempt += 1


async def _watch(
    connection: Connection, session_id: str, task_id: str, on_running: Callable[[], object]
) -> Task | None:
    """The task when it has ended, None when the watch has; from time to time look beside it. Raises FlameError."""
    heard: asyncio.Queue[Task | FlameError | None] = asyncio.Queue()

    async def listen() -> None:
        request = messages.WatchTaskRequest(task_id=task_id, session_id=session_id)
        try:
            async for each in connection.stream("WatchTask", request):
                heard.put_nowait(task_of(each))
        except FlameError as error:
            heard.put_nowait(error)
        heard.put_nowait(None)

    listening = asyncio.ensure_future(listen())
    look_s = _FIRST_LOOK_S
    try:
        while True:
            try:
                word = await asyncio.wait_for(heard.get(), look_s)
            except asyncio.TimeoutError:
                look_s = min(4 * look_s, _LOOK_S)
                word = await _look(connection, session_id, task_id)
                if word.state is TaskState.PENDING:
                    await _raise_if_given_up(connection, session_id)
            if isinstance(word, FlameError):
                raise word
            if word is None or word.state.is_terminal():
                return word
            if word.state is TaskState.RUNNING:
                on_running()
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)  # the stream must be shut before its loop is


async def _look(connection: Connection, session_id: str, task_id: str) -> Task:
    return task_of(await connection.call("GetTask", messages.GetTaskRequest(task_id=task_id, session_id=session_id)))


async def _raise_if_given_up(connection: Connection, session_id: str) -> None:
    """Raises FlameError when the cluster starts no executors for the session any more, NotDelivered when its only one
    is lost.
    """
    session = view_of(await connection.call("GetSession", messages.GetSessionRequest(session_id=session_id)))
    reasons = [event.message or "" for event in session.events if event.code == BIND_FAILED]
    if session.succeed + session.failed and any(SECOND_WORKER in reason for reason in reasons):
        raise NotDelivered("the worker that had the object has ended")  # others are refused, and it takes no task
    if any(event.code == BIND_GIVEN_UP for event in session.events) and not session.running:
        raise InvalidState(
            f"the cluster could not start a worker: {reasons[-1] if reasons else 'it does not say why'}. "
            "Mend that, and open the Runner again."
        )


def lost(error: FlameError, call: str) -> FlameError:
    """The same for one call of the packet, by its name."""
    return ExecutorLost(call, error.args[1]) if isinstance(error, ExecutorLost) else error
