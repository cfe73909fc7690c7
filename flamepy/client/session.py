# SPDX-License-Identifier: Apache-2.0
"""A session of an application: tasks of bytes go in, bytes come out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flamepy.client.future import TaskFuture
from flamepy.client.outcome import error_of, output_of
from flamepy.client.watcher import TaskInformer, TaskWatcher
from flamepy.codec.payload import Payload
from flamepy.core.session import SessionView
from flamepy.core.task import Task
from flamepy.engine.api import Call, Engine
from flamepy.engine.completion import Completion
from flamepy.errors import InvalidArgument

if TYPE_CHECKING:
    from flamepy.client.connection import Connection


class Session:
    """An open session. State, counters and events are a snapshot of when this object was made (or closed)."""

    def __init__(self, connection: Connection, engine: Engine, view: SessionView) -> None:
        self.connection = connection
        self._engine = engine
        self._take(view)

    def _take(self, view: SessionView) -> None:
        self.id = view.id
        self.application = view.application
        self.state = view.state
        self.creation_time = view.creation_time
        self.completion_time = view.completion_time
        self.pending = view.pending
        self.running = view.running
        self.succeed = view.succeed
        self.failed = view.failed
        self.cancelled = view.cancelled
        self.events = view.events

    def __repr__(self) -> str:
        return f"<Session {self.id} of {self.application}: {self.state.name}>"

    def common_data(self) -> bytes | None:
        """What the session was opened with."""
        return self._engine.session_spec(self.id).common_data

    def create_task(self, input: bytes | None) -> Task:  # noqa: A002 - the name of 0.6
        """Start a task, to be found again by its id until the session goes."""
        completion = self._submit(input)
        self._engine.keep(completion)
        return self._engine.get_task(self.id, completion.task_id)

    def get_task(self, task_id: str) -> Task:
        """The task as it is now. Raises NotFound."""
        return self._engine.get_task(self.id, task_id)

    def list_tasks(self) -> Iterator[Task]:
        return iter(self._engine.list_tasks(self.id))

    def watch_task(self, task_id: str, timeout: float | None = None) -> TaskWatcher:
        """The task at each change of state, up to a terminal one. Raises NotFound; CallTimeout after ``timeout`` s."""
        return TaskWatcher(self._engine.watch(self.id, task_id), timeout_s=timeout)

    def run(self, input: bytes | None) -> TaskFuture:  # noqa: A002 - the name of 0.6
        """Start a task; its future gives the output, or raises TaskFailed."""
        return TaskFuture(self._engine, self._submit(input))

    def invoke(self, input: bytes | None, informer: TaskInformer | None = None) -> bytes | None:  # noqa: A002 - 0.6
        """Run a task and wait for its output; ``informer`` is told about each state on the way. Raises TaskFailed."""
        completion = self._submit(input)
        if informer is None:
            return TaskFuture(self._engine, completion).result()
        for task in self._engine.watch(self.id, completion.task_id):
            informer.on_update(task)
        completion.wait()
        assert completion.outcome is not None
        error = error_of(completion.outcome, completion.name)
        if error is not None:
            informer.on_error(error)
            raise error
        return output_of(completion.outcome)

    def close(self) -> None:
        """No new tasks; those that wait are cancelled, those that run end by themselves. Idempotent."""
        self._take(self._engine.close_session(self.id))

    def _submit(self, data: bytes | None) -> Completion:
        if data is not None and not isinstance(data, bytes):
            raise InvalidArgument(
                f"a task's input must be bytes, not {type(data).__name__}: pickle it, or use Runner.service."
            )
        call = Call(request=Payload(b"" if data is None else data), input=data, name=self.application)
        return self._engine.submit(self.id, call)
