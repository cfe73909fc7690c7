# SPDX-License-Identifier: Apache-2.0
"""The object cache of the embedded engine: blobs under keys, in this process, with versions and patches."""

from __future__ import annotations

import threading
from dataclasses import replace

from flamepy.cache.api import StoredObject, Value
from flamepy.cache.blob import Blob, blob_of
from flamepy.cache.budget import SegmentBudget
from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectKey, ObjectRef
from flamepy.errors import InvalidArgument, NotFound

_FIRST_VERSION = 1


class MemoryStore:
    """Implements ``cache.api.ObjectStore``. Big values are in segments, which move to disk over the memory limit.

    memory_limit_bytes: None = no limit. spill_directory: None = the temporary directory. ``budget`` is public, so that
    the engine counts the results that it holds outside of this store under the same limit.
    """

    def __init__(self, endpoint: str, *, memory_limit_bytes: int | None, spill_directory: str | None) -> None:
        self.endpoint = endpoint
        self.budget = SegmentBudget(memory_limit_bytes, spill_directory)
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, dict[str, StoredObject]]] = {}  # application -> session -> object

    def put(self, key: str, payload: Payload) -> ObjectRef:
        """Store under a full key (a new version, patches dropped) or under a fresh id below ``<app>/<session>``."""
        return self.put_value(key, Blob.of(payload))

    def put_value(self, key: str, value: Value) -> ObjectRef:
        """The same memory under a key, not a copy."""
        parsed = _parsed(key)
        if parsed.is_all_sessions():
            raise InvalidArgument(f"cannot put an object into all sessions ({key!r}): name one, '<app>/<session>'.")
        if parsed.object_id is None:
            parsed = parsed.with_generated_id()
        object_id = _object_id(parsed)
        blob = blob_of(value)
        with self._lock:
            session = self._objects.setdefault(parsed.app_name, {}).setdefault(parsed.session_id, {})
            old = session.get(object_id)
            version = _FIRST_VERSION if old is None else old.version + 1
            session[object_id] = StoredObject(version, blob)
        self.budget.admit(blob)
        return ObjectRef(self.endpoint, parsed.to_key(), version)

    def get(self, ref: ObjectRef) -> StoredObject:
        """The newest version, whatever version ``ref`` names. Raises NotFound, InvalidArgument."""
        key = _parsed_full(ref.key)
        with self._lock:
            stored = self._find(key)
        if stored is None:
            raise self._not_found(ref, "")
        return stored

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        """Append a change; returns a ref with the new version. Raises NotFound, InvalidArgument."""
        blob = Blob.of(payload)
        key = _parsed_full(ref.key)
        with self._lock:
            old = self._find(key)
            if old is not None:
                new = replace(old, version=old.version + 1, patches=(*old.patches, blob))
                self._objects[key.app_name][key.session_id][_object_id(key)] = new
        if old is None:
            raise self._not_found(ref, " for patch")
        self.budget.admit(blob)
        return ObjectRef(self.endpoint, ref.key, new.version)

    def spill(self, value: Value) -> None:
        """Move a value to disk; one that has to stay in memory is no error."""
        if isinstance(value, Blob):
            self.budget.spill(value)

    def delete(self, prefix: str) -> None:
        """Delete ``<app>/<session>/<object>``, all of ``<app>/<session>`` or all of ``<app>/*``. Unknown is fine."""
        key = _parsed(prefix)
        with self._lock:
            sessions = self._objects.get(key.app_name, {})
            if key.is_all_sessions():
                dropped: object = self._objects.pop(key.app_name, None)
            elif key.object_id is None:
                dropped = sessions.pop(key.session_id, None)
            else:
                dropped = sessions.get(key.session_id, {}).pop(key.object_id, None)
            if key.app_name in self._objects and not any(sessions.values()):
                del self._objects[key.app_name]
        del dropped  # closes its segments, which may be many, outside of the lock

    def _find(self, key: ObjectKey) -> StoredObject | None:
        return self._objects.get(key.app_name, {}).get(key.session_id, {}).get(_object_id(key))

    def _not_found(self, ref: ObjectRef, purpose: str) -> NotFound:
        if ref.endpoint != self.endpoint:
            return NotFound(
                f"object {ref.key} not found{purpose}: the reference is for the cache {ref.endpoint!r}, "
                f"and this one is {self.endpoint!r}. Use a reference with the engine that gave it."
            )
        return NotFound(
            f"object {ref.key} not found{purpose} in the cache {self.endpoint!r}: "
            "it was deleted, or its Runner is closed. Put it again while the Runner is open."
        )


def _parsed(key: str) -> ObjectKey:
    try:
        return ObjectKey.from_path(key)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def _parsed_full(key: str) -> ObjectKey:
    try:
        return ObjectKey.from_key(key)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def _object_id(key: ObjectKey) -> str:
    assert key.object_id is not None, "only full keys come here"
    return key.object_id
