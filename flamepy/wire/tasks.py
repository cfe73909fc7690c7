# SPDX-License-Identifier: Apache-2.0
"""Tasks as messages and back, and what went wrong with one."""

from __future__ import annotations

from flamepy.core.task import Task, TaskState
from flamepy.wire import messages
from flamepy.wire.sessions import event_message, event_of
from flamepy.wire.states import state_of
from flamepy.wire.times import from_ms, to_ms


def message_of(task: Task) -> messages.Task:
    """A task, as a server tells it."""
    return messages.Task(
        metadata=messages.Metadata(id=task.id, name=task.id),
        spec=messages.TaskSpec(session_id=task.session_id, input=task.input, output=task.output),
        status=messages.TaskStatus(
            state=messages.TaskState.Name(task.state),
            creation_time=to_ms(task.creation_time),
            completion_time=None if task.completion_time is None else to_ms(task.completion_time),
            events=map(event_message, task.events),
        ),
    )


def task_of(message: messages.Task) -> Task:
    """A task, as a client knows it. Raises FlameError for a state that nobody knows."""
    spec, status = message.spec, message.status
    return Task(
        id=message.metadata.id,
        session_id=spec.session_id,
        state=state_of(TaskState, status.state),
        creation_time=from_ms(status.creation_time),
        input=spec.input if spec.HasField("input") else None,
        output=spec.output if spec.HasField("output") else None,
        completion_time=from_ms(status.completion_time) if status.HasField("completion_time") else None,
        events=tuple(map(event_of, status.events)),
    )


def words_of_failure(task: Task) -> str:
    """What the worker, or the cluster, said of a failed task; "" where it said nothing."""
    return next((event.message or "" for event in reversed(task.events) if event.code == TaskState.FAILED), "")
