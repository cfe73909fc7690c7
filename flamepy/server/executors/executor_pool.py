# SPDX-License-Identifier: Apache-2.0
"""All executors: after each change it asks ``allocation`` what to do, does it, and hands out tasks."""

from __future__ import annotations

import asyncio
import itertools
import logging
import uuid
from typing import Any

from flamepy.clock import monotonic_s
from flamepy.core.task import Task, TaskState
from flamepy.server.allocation import Bind, Need, Release, Seat, allocate
from flamepy.server.application_table import ApplicationTable, Registered
from flamepy.server.executors.executor import BindFailed, Executor, Workshop
from flamepy.server.session_table import BIND_LIMIT, SessionRecord, SessionTable

BIND_PAUSE_S = 0.1  # after an attempt to start a worker that failed: what was missing may come
_SERVER_ENDED = "the server ended before the task did: call it again."

_log = logging.getLogger(__name__)


class ExecutorPool:
    """Used by the event loop's thread only. slots: how many workers at one time; node: the name of this machine."""

    def __init__(
        self, slots: int, node: str, applications: ApplicationTable, sessions: SessionTable, workshop: Workshop
    ) -> None:
        self._slots = slots
        self._node = node
        self._applications = applications
        self._sessions = sessions
        self._shop = workshop
        self._numbers = itertools.count(1)
        self._executors: dict[str, Executor] = {}
        self._runs: dict[str, asyncio.Task[None]] = {}
        self._pausing: set[str] = set()  # sessions for which the start of a worker has just failed
        self._is_draining = False

    def all(self) -> list[Executor]:
        return list(self._executors.values())

    def turn(self) -> None:
        """Something has changed: decide and act."""
        for executor in self.all():
            if not self._sessions.is_current(executor.session) or self._is_draining:
                executor.release()
        if self._is_draining:
            return
        for decision in allocate(self._needs(), map(_seat, self.all()), slots=self._slots):
            match decision:
                case Bind(session_id):
                    self._bind(self._sessions.get(session_id))
                case Release(executor_id):
                    self._executors[executor_id].release()
        for executor in self.all():
            if executor.idle_since_s is not None and (task := self._sessions.start_next(executor.session)):
                executor.give(task)

    async def drain(self, grace_s: float) -> None:
        """No task starts any more; running ones get ``grace_s`` seconds, and all workers end."""
        self._is_draining = True
        self.turn()
        deadline = asyncio.get_running_loop().call_later(grace_s, self.stop_running)
        await asyncio.gather(*self._runs.values(), return_exceptions=True)
        deadline.cancel()

    def stop_running(self) -> None:
        """End the workers that run a task in the middle of it; the others are ending."""
        for executor in self.all():
            if executor.task is not None:
                self._runs[executor.id].cancel()

    # --- what executors ask and tell ---

    async def next_task(self, executor: Executor) -> Task | None:
        """The next task of its session, when there is one; None when the executor shall leave."""
        executor.become_idle()
        self.turn()
        if executor.is_released.is_set() and executor.idle_since_s is not None:
            executor.give(None)
        assert executor.process is not None
        while not executor.given.done():
            changes: set[asyncio.Future[Any]] = {executor.given, executor.process.exited}
            await asyncio.wait(changes, timeout=self._keep_s(executor), return_when=asyncio.FIRST_COMPLETED)
            if executor.given.done():
                break
            if executor.process.exited.done() or self._is_superfluous(executor):
                executor.give(None)
        return executor.given.result()

    def task_ended(
        self, executor: Executor, task: Task, state: TaskState, *, output: bytes | None, message: str | None
    ) -> None:
        self._sessions.end_task(executor.session, task.id, state, output=output, message=message)

    def bound(self, executor: Executor) -> None:
        executor.session.bind_failures = 0

    def bind_failed(self, executor: Executor, failure: BindFailed) -> None:
        session = executor.session
        if not self._sessions.is_current(session):
            return
        _log.info("bind failed session=%s code=%d detail=%s", session.id, failure.code, failure.detail)
        self._sessions.bind_failed(session, executor.id, self._node, failure.code, failure.detail)
        self._pausing.add(session.id)
        asyncio.get_running_loop().call_later(BIND_PAUSE_S, self._go_on, session.id)

    # --- parts ---

    def _needs(self) -> list[Need]:
        return [
            _need(record)
            for record in self._sessions.in_need()
            if not record.is_given_up() and record.id not in self._pausing
        ]

    def _bind(self, session: SessionRecord) -> None:
        registered = self._applications.get(session.application)
        executor = Executor(str(uuid.uuid4()), next(self._numbers), session, registered, self._shop)
        self._executors[executor.id] = executor
        self._runs[executor.id] = asyncio.create_task(self._run(executor))

    async def _run(self, executor: Executor) -> None:
        try:
            await executor.run(self)
        except asyncio.CancelledError:
            self._fail_task_of(executor, _SERVER_ENDED)
        except Exception as error:  # noqa: BLE001 - no fault of one executor may take the slot, or the server, with it
            _log.exception("executor failed id=%s session=%s", executor.id, executor.session.id)
            self._fail_task_of(executor, f"the executor failed: {type(error).__name__}: {error}")
        finally:
            del self._executors[executor.id]
            del self._runs[executor.id]
            await self.forget(executor.registered)
            self.turn()

    def _fail_task_of(self, executor: Executor, message: str) -> None:
        """The task that it runs, if there is one, has no other end."""
        if executor.task is not None:
            self.task_ended(executor, executor.task, TaskState.FAILED, output=None, message=message)

    async def forget(self, registered: Registered) -> None:
        """Remove the files of an application that is not registered any more, once no executor uses them."""
        is_used = any(each.registered is registered for each in self.all())
        if not is_used and not self._applications.is_current(registered):
            await self._shop.installer.forget(registered.generation)

    def _go_on(self, session_id: str) -> None:
        self._pausing.discard(session_id)
        self.turn()

    def _keep_s(self, executor: Executor) -> float | None:
        """How long the executor is kept without a task, from now on; None = for ever."""
        if not self._is_superfluous(executor):
            return None
        since_s = executor.idle_since_s or monotonic_s()
        return max(0.0, since_s + executor.registered.application.delay_release - monotonic_s())

    def _is_superfluous(self, executor: Executor) -> bool:
        """Has its session more executors than it always wants?"""
        of_session = sum(each.session is executor.session for each in self.all() if not each.is_released.is_set())
        return of_session > executor.session.spec.min_instances


def _need(record: SessionRecord) -> Need:
    pending, running = record.counts[TaskState.PENDING], record.counts[TaskState.RUNNING]
    return Need(
        record.id,
        record.number,
        tasks=pending + running,
        pending=pending,
        min_instances=record.spec.min_instances,
        max_instances=record.max_instances,
        priority=record.spec.priority,
        failures_left=BIND_LIMIT - record.bind_failures if record.bind_failures else None,
    )


def _seat(executor: Executor) -> Seat:
    return Seat(
        executor.id,
        executor.session.id,
        executor.idle_since_s,
        is_leaving=executor.is_leaving,
        has_started=executor.has_started,
    )
