# SPDX-License-Identifier: Apache-2.0
"""An object cache that fails when the test says so."""

from __future__ import annotations

from flamepy.cache.api import ObjectStore, StoredObject, Value
from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectRef
from flamepy.errors import FlameError


class FaultyStore:
    """Passes everything on to ``store``; while ``error`` is set, each use raises it instead.

    Example:
        >>> from flamepy import NotFound
        >>> engine = InlineEngine()
        >>> engine.objects = store = FaultyStore(engine.objects)
        >>> store.error = NotFound("object app/s/o not found: the cache has lost it.")
        >>> engine.close()
    """

    def __init__(self, store: ObjectStore) -> None:
        self.endpoint = store.endpoint
        self.error: FlameError | None = None
        self._store = store

    def put(self, key: str, payload: Payload) -> ObjectRef:
        return self._working().put(key, payload)

    def put_value(self, key: str, value: Value) -> ObjectRef:
        return self._working().put_value(key, value)

    def get(self, ref: ObjectRef) -> StoredObject:
        return self._working().get(ref)

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        return self._working().patch(ref, payload)

    def delete(self, prefix: str) -> None:
        self._working().delete(prefix)

    def spill(self, value: Value) -> None:
        self._working().spill(value)

    def _working(self) -> ObjectStore:
        if self.error is not None:
            raise self.error
        return self._store
