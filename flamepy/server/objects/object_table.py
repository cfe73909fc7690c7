# SPDX-License-Identifier: Apache-2.0
"""The objects of the server under their keys, with versions and patches. What was written last wins."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import pyarrow as pa

from flamepy.core.cache import ObjectKey
from flamepy.errors import InvalidArgument, NotFound
from flamepy.server.objects.payload_memory import HeldPayload, PayloadMemory


@dataclass(frozen=True)
class Versioned:
    """A payload, and the version that the object got with it."""

    version: int
    payload: HeldPayload


@dataclass(frozen=True)
class StoredObject:
    """is_table: the payload is a table, as a stream of Arrow, and not bytes that only its readers understand."""

    base: Versioned
    patches: tuple[Versioned, ...] = ()
    is_table: bool = False

    @property
    def version(self) -> int:
        return (self.patches or (self.base,))[-1].version

    @property
    def nbytes(self) -> int:
        return sum(each.payload.nbytes for each in self.parts())

    def parts(self) -> tuple[Versioned, ...]:
        return (self.base, *self.patches)


class ObjectTable:
    """Thread-safe. Its methods raise FlameError."""

    def __init__(self, memory: PayloadMemory) -> None:
        self._memory = memory
        self._lock = threading.Lock()
        self._objects: dict[str, StoredObject] = {}

    def put(self, path: str, buffer: pa.Buffer, *, is_table: bool) -> tuple[str, int]:
        """Store under a full key, in place of what is there, or under a new id below ``<app>/<session>``.

        Returns the key and the version.
        """
        key = _full_key(path)
        payload = self._memory.hold(buffer)
        with self._lock:
            old = self._objects.get(key)
            version = 1 if old is None else old.version + 1
            self._objects[key] = StoredObject(Versioned(version, payload), is_table=is_table)
        self._drop(old)
        return key, version

    def patch(self, key: str, buffer: pa.Buffer) -> int:
        """Append a change. Returns the version that it makes."""
        checked_key(key)
        payload = self._memory.hold(buffer)
        with self._lock:
            old = self._objects.get(key)
            if old is not None:
                patches = (*old.patches, Versioned(old.version + 1, payload))
                self._objects[key] = replace(old, patches=patches)
        if old is None:
            self._memory.drop(payload)
            raise NotFound(f"object <{key}> not found for patch: put it first.")
        return old.version + 1

    def get(self, key: str) -> StoredObject:
        with self._lock:
            found = self._objects.get(checked_key(key))
        if found is None:
            raise NotFound(f"object <{key}> not found: it was deleted, or never put here.")
        for part in found.parts():
            self._memory.used(part.payload)
        return found

    def find(self, key: str) -> StoredObject | None:
        """Without counting as a use."""
        with self._lock:
            return self._objects.get(key)

    def delete(self, path: str) -> None:
        """``<app>/<session>/<object>``, all of ``<app>/<session>`` or all of ``<app>/*``. Unknown is fine."""
        prefix = _parsed(path)
        with self._lock:
            gone = [self._objects.pop(key) for key in list(self._objects) if prefix.matches_key(key)]
        for each in gone:
            self._drop(each)

    def all(self) -> dict[str, StoredObject]:
        with self._lock:
            return dict(self._objects)

    def _drop(self, stored: StoredObject | None) -> None:
        for part in () if stored is None else stored.parts():
            self._memory.drop(part.payload)


def checked_key(key: str) -> str:
    """Raises InvalidArgument."""
    try:
        return ObjectKey.from_key(key).to_key()
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def _parsed(path: str) -> ObjectKey:
    try:
        return ObjectKey.from_path(path)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def _full_key(path: str) -> str:
    key = _parsed(path)
    if key.is_all_sessions():
        raise InvalidArgument(f"Invalid path {path!r}: a put goes to one session, '<app>/<session>'.")
    return (key if key.object_id is not None else key.with_generated_id()).to_key()
