# SPDX-License-Identifier: Apache-2.0
"""The sessions of the embedded engine as callers hold them: each method is a command for the event loop, or a look."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.core.session import SessionState, SessionView
from flamepy.core.task import Task
from flamepy.engine.api import SessionSpec
from flamepy.engine.local.applications import LocalApplications
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.core import Core
from flamepy.engine.local.link.import_path import import_path_of_caller
from flamepy.engine.local.records import SessionRecord, task_view
from flamepy.errors import AlreadyExists, InvalidArgument, InvalidState, NotFound


class LocalSessions:
    """Implements ``engine.api.Sessions``."""

    def __init__(self, core: Core, applications: LocalApplications) -> None:
        self._core = core
        self._applications = applications
        self._records = core.loop.dispatcher.sessions
        self._numbers = itertools.count(1)

    def create(self, session_id: str, spec: SessionSpec) -> SessionView:
        self._core.check()
        record = self._new_session(session_id, spec)

        def create() -> SessionView:
            if session_id in self._records:
                raise AlreadyExists(
                    f"session {session_id!r} already exists: use another id, or open_session to join it."
                )
            return self._add(record)

        return self._core.loop.ask(create)

    def create_like(self, session_id: str, new_id: str) -> SessionView:
        like = self.record(session_id)
        definition = like.definition  # looked at once: a close comes from another thread
        if like.state is SessionState.CLOSED or definition is None:
            raise InvalidState(f"session {session_id!r} is not open any more: create the service again.")
        spec = replace(
            like.spec, is_stateful=True, min_instances=0, max_instances=1, warmup=0, name="", handle=b"", lease=""
        )
        record = self._record(new_id, spec, like.installed, definition)
        return self._core.loop.ask(lambda: self._add(record))

    def open(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        self._core.check()
        record = None if spec is None or session_id in self._records else self._new_session(session_id, spec)

        def open_() -> SessionView:
            existing = self._records.get(session_id)
            if existing is not None:
                _check_joinable(existing, spec)
                if spec is not None and spec.lease:
                    existing.leases.add(spec.lease)
                return existing.view()
            if record is None:
                raise NotFound(f"session {session_id!r} not found: open it with its attributes to create it.")
            return self._add(record)

        return self._core.loop.ask(open_)

    def _new_session(self, session_id: str, spec: SessionSpec) -> SessionRecord:
        installed = self._applications.installed(spec.application)
        payload = spec.definition if spec.definition is not None else Payload(spec.common_data or b"")
        definition = self._core.objects.budget.hold(payload)
        record = self._record(session_id, spec, installed, definition)
        if spec.checkpoint is not None:
            record.checkpoint = self._core.objects.budget.hold(spec.checkpoint)
        return record

    def _record(self, session_id: str, spec: SessionSpec, installed: Installed, definition: Blob) -> SessionRecord:
        number = next(self._numbers)
        spec = replace(
            spec, definition=None, checkpoint=None
        )  # whose buffers are the caller's own arrays; the blob has a copy
        return SessionRecord(number, session_id, spec, installed, definition, import_path_of_caller())

    def _add(self, record: SessionRecord) -> SessionView:
        self._records[record.id] = record
        if record.spec.warmup:
            self._core.loop.dispatcher.warm_up(record)
        return record.view()

    def record(self, session_id: str) -> SessionRecord:
        self._core.check()
        session = self._records.get(session_id)
        if session is None:
            raise NotFound(f"session {session_id!r} not found: it was never opened, or its application is gone.")
        return session

    def get(self, session_id: str) -> SessionView:
        session = self.record(session_id)
        return self._core.loop.ask(session.view)

    def list(self) -> Sequence[SessionView]:
        self._core.check()
        return self._core.loop.ask(lambda: [session.view() for session in self._records.values()])

    def close(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        session = self.record(session_id)

        def close() -> SessionView:
            session.leases.discard(lease)
            if not (lease and session.leases):
                self._core.loop.dispatcher.close_session(session, cancel=cancel)
            return session.view()

        view = self._core.loop.ask(close)
        if not session.spec.lease:
            self._applications.session_closed(session.installed.name)
        return view

    def checkpoint(self, session_id: str) -> Blob | None:
        """The state of a stateful session after its last call; None while it is as its definition made it."""
        return self.record(session_id).checkpoint

    def common_data(self, session_id: str) -> bytes | None:
        return self.record(session_id).spec.common_data

    def task(self, session_id: str, task_id: str) -> Task:
        session = self.record(session_id)
        return self._core.loop.ask(lambda: find_task(session, task_id))

    def tasks(self, session_id: str) -> Sequence[Task]:
        session = self.record(session_id)

        def collect() -> list[Task]:
            tasks = {ended.task_id: ended.view() for ended in session.history}
            tasks |= {task_id: task_view(*kept) for task_id, kept in session.kept.items()}
            tasks |= {task_id: task_view(live.completion, live.input) for task_id, live in session.live.items()}
            return [tasks[task_id] for task_id in sorted(tasks, key=int)]

        return self._core.loop.ask(collect)


def find_task(session: SessionRecord, task_id: str) -> Task:
    live = session.live.get(task_id)
    if live is not None:
        return task_view(live.completion, live.input)
    if task_id in session.kept:
        return task_view(*session.kept[task_id])
    for ended in session.history:
        if ended.task_id == task_id:
            return ended.view()
    raise NotFound(f"task {task_id!r} of session {session.id!r} not found: list_tasks() shows those that are known.")


def _check_joinable(existing: SessionRecord, spec: SessionSpec | None) -> None:
    """Raises InvalidArgument for a closed session, and for one that was opened with another spec."""
    if existing.state is SessionState.CLOSED:
        raise InvalidArgument(f"session {existing.id!r} is not open any more: use another id.")
    if spec is None:
        return
    comparable: tuple[Callable[[SessionSpec], object], ...] = (
        lambda s: s.application,
        lambda s: s.resreq,
        lambda s: s.min_instances,
        lambda s: s.max_instances,
    )
    for name, get in zip(("application", "resreq", "min_instances", "max_instances"), comparable, strict=True):
        if get(existing.spec) != get(spec):
            raise InvalidArgument(
                f"session {existing.id!r} spec mismatch: {name} differs (expected {get(existing.spec)!r}, "
                f"got {get(spec)!r}). Use the same values to join it, or another id."
            )
