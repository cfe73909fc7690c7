# SPDX-License-Identifier: Apache-2.0
"""An object cache that fails when the test says so."""

from __future__ import annotations

from flamepy.cache.api import ObjectStore, StoredObject, Value
from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectRef
from flamepy.errors import FlameError


class FaultyStore:
    """Passes everything on to a store; while its attribute ``error`` is set, each use raises that instead.

    Args:
        store: The one that works.

    Example:
        >>> import flamepy
        >>> from flamepy.testing import FaultyStore, InlineEngine
        >>> with InlineEngine() as engine:
        ...     engine.objects = store = FaultyStore(engine.objects)
        ...     ref = flamepy.put_object("app/session", 1)
        ...     store.error = flamepy.NotFound("object app/session/1 not found: the cache has lost it.")
        ...     flamepy.get_object(ref)
        Traceback (most recent call last):
        flamepy.errors.NotFound: object app/session/1 not found: the cache has lost it.
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
