# SPDX-License-Identifier: Apache-2.0
"""The nouns of the host engine, as a call reaches them: each method is a question to the host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from flamepy.cache.api import StoredObject, Value
from flamepy.cache.blob import Blob, blob_of
from flamepy.codec.payload import Payload
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectRef
from flamepy.core.session import SessionView
from flamepy.core.task import Task
from flamepy.engine.api import SessionSpec
from flamepy.engine.uplink.asking import Ask
from flamepy.engine.uplink.importing import refuse_in_import


class UplinkStore:
    """Implements ``ObjectStore`` with the host's cache."""

    def __init__(self, ask: Ask, endpoint: str) -> None:
        self.endpoint = endpoint
        self._ask = ask

    def put(self, key: str, payload: Payload) -> ObjectRef:
        return self.put_value(key, Blob.of(payload))

    def put_value(self, key: str, value: Value) -> ObjectRef:
        ref: ObjectRef = self._ask("put", key, blobs=[blob_of(value)]).value
        return ref

    def get(self, ref: ObjectRef) -> StoredObject:
        answer = self._ask("get_object", ref)
        return StoredObject(answer.value, answer.blobs[0], tuple(answer.blobs[1:]))

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        new_ref: ObjectRef = self._ask("patch", ref, blobs=[Blob.of(payload)]).value
        return new_ref

    def delete(self, prefix: str) -> None:
        self._ask("delete", prefix)

    def spill(self, value: Value) -> None:
        """The memory is the host's, which has a limit of its own."""


class UplinkApplications:
    """Implements ``Applications``."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def register(self, name: str, attributes: ApplicationAttributes) -> Application:
        application: Application = self._ask("call", "applications.register", name, attributes).value
        return application

    def unregister(self, name: str) -> None:
        self._ask("call", "applications.unregister", name)

    def lease(
        self, lease_id: str, name: str, attributes: ApplicationAttributes | None, *, must_be_new: bool = False
    ) -> Application:
        application: Application = self._ask("lease", lease_id, name, attributes, must_be_new).value
        return application

    def end_lease(self, lease_id: str) -> bool:
        is_removed: bool = self._ask("end_lease", lease_id).value
        return is_removed

    def get(self, name: str) -> Application | None:
        application: Application | None = self._ask("call", "applications.get", name).value
        return application

    def list(self) -> Sequence[Application]:
        applications: Sequence[Application] = self._ask("call", "applications.list").value
        return applications


class UplinkSessions:
    """Implements ``Sessions``."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def create(self, session_id: str, spec: SessionSpec) -> SessionView:
        refuse_in_import()
        packed, blobs = _packed(spec)
        view: SessionView = self._ask("create_session", session_id, packed, blobs=blobs).value
        return view

    def create_like(self, session_id: str, new_id: str) -> SessionView:
        refuse_in_import()
        return self._view("create_like", session_id, new_id)

    def open(self, session_id: str, spec: SessionSpec | None) -> SessionView:
        refuse_in_import()
        packed, blobs = (None, []) if spec is None else _packed(spec)
        view: SessionView = self._ask("open_session", session_id, packed, blobs=blobs).value
        return view

    def get(self, session_id: str) -> SessionView:
        return self._view("get", session_id)

    def list(self) -> Sequence[SessionView]:
        views: Sequence[SessionView] = self._ask("call", "sessions.list").value
        return views

    def close(self, session_id: str, *, cancel: bool = False, lease: str = "") -> SessionView:
        view: SessionView = self._ask("close_session", session_id, cancel, lease).value
        return view

    def common_data(self, session_id: str) -> bytes | None:
        data: bytes | None = self._ask("call", "sessions.common_data", session_id).value
        return data

    def task(self, session_id: str, task_id: str) -> Task:
        task: Task = self._ask("call", "sessions.task", session_id, task_id).value
        return task

    def tasks(self, session_id: str) -> Sequence[Task]:
        tasks: Sequence[Task] = self._ask("call", "sessions.tasks", session_id).value
        return tasks

    def _view(self, method: str, *arguments: Any) -> SessionView:
        view: SessionView = self._ask("call", f"sessions.{method}", *arguments).value
        return view


def _packed(spec: SessionSpec) -> tuple[SessionSpec, list[Blob]]:
    if spec.definition is None:
        return spec, []
    return replace(spec, definition=None), [Blob.of(spec.definition)]
