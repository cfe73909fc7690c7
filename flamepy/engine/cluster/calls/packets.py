# SPDX-License-Identifier: Apache-2.0
"""One packet of calls as a task of the cluster: created once, run once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine

from flamepy.core.task import TaskState
from flamepy.engine.cluster.calls.watching import NotDelivered, TaskWatch
from flamepy.engine.cluster.connection import PATIENCE_S, Connection, back_off_s
from flamepy.errors import ConnectionLost, ExecutorLost, FlameError, NotFound
from flamepy.wire import messages
from flamepy.wire.tasks import words_of_failure

_NOT_DELIVERED = "Connection refused"  # an executor's words, when nobody listens at its worker's socket any more


async def run_packet(
    connection: Connection,
    session_id: str,
    data: bytes,
    packet_id: str,
    on_running: Callable[[], Coroutine[object, object, None]],
    abandoned: Callable[[], Collection[str]],
) -> bytes:
    """Have a worker run the packet; returns the output of its task.

    on_running, abandoned: see ``TaskWatch``.

    Raises NotDelivered, ExecutorLost (it had begun, and its end is not known), FlameError (it did not run, and why).
    """
    task_id = await _create(connection, session_id, data, packet_id)
    task = await TaskWatch(connection, session_id, task_id, abandoned).until_ended(on_running)
    if task.state is TaskState.SUCCEED and task.output is not None:
        return task.output
    if task.state is TaskState.CANCELLED:
        raise NotDelivered("its session was closed, after an executor of it was lost")
    words = words_of_failure(task)
    if _NOT_DELIVERED in words:
        raise NotDelivered(words)
    raise ExecutorLost("it", words or "it said nothing")


async def _create(connection: Connection, session_id: str, data: bytes, packet_id: str) -> str:
    """Create the task; where the connection breaks meanwhile, not again before it is known that it is not there."""
    request = messages.CreateTaskRequest(task=messages.TaskSpec(session_id=session_id, input=data))
    is_unknown = False
    attempt = 0
    while True:
        try:
            found = await _find(connection, session_id, packet_id.encode()) if is_unknown else None
            if found is not None:
                return found
            is_unknown = True
            reply = await connection.call("CreateTask", request, is_repeatable=False)
        except ConnectionLost:
            if connection.is_lost_for(PATIENCE_S):
                raise
            await asyncio.sleep(back_off_s(attempt))
            attempt += 1
        except NotFound as error:
            raise NotDelivered("the cluster has forgotten its session") from error
        else:
            return str(reply.metadata.id)


async def _find(connection: Connection, session_id: str, mark: bytes) -> str | None:
    """The task whose input has the id of the packet in it."""
    async for each in connection.stream("ListTask", messages.ListTaskRequest(session_id=session_id)):
        if mark in each.spec.input[:256]:
            return str(each.metadata.id)
    return None


def lost(error: FlameError, call: str) -> FlameError:
    """The same for one call of the packet, by its name."""
    if isinstance(error, ExecutorLost):
        return ExecutorLost(call, error.args[1])
    return type(error)(error.args[0], error.args[1], call) if isinstance(error, ConnectionLost) else error
