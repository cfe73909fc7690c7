# SPDX-License-Identifier: Apache-2.0
"""The cluster's object cache, opened when it is first needed: Arrow takes half a second to load."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flamepy.cache.api import StoredObject, Value
from flamepy.codec.payload import Payload
from flamepy.config import FlameContextTls
from flamepy.core.cache import ObjectRef

if TYPE_CHECKING:
    from flamepy.cache.flight.client import FlightClient
    from flamepy.cache.flight.store import FlightStore


class ClusterObjects:
    """Implements ``cache.api.ObjectStore``, and what values of calls need besides."""

    def __init__(self, endpoint: str, *, tls: FlameContextTls | None = None) -> None:
        self.endpoint = endpoint
        self._tls = tls
        self._lock = threading.Lock()
        self._store: FlightStore | None = None

    @property
    def store(self) -> FlightStore:
        with self._lock:
            if self._store is None:
                from flamepy.cache.flight.client import FlightClient
                from flamepy.cache.flight.store import FlightStore

                self._store = FlightStore(FlightClient(self.endpoint, tls=self._tls))
            return self._store

    @property
    def client(self) -> FlightClient:
        return self.store.client

    def put_parts(self, key: str, parts: Sequence[bytes | memoryview]) -> ObjectRef:
        return self.client.put(key, parts)

    def payload(self, key: str) -> Payload:
        return self.store.get(ObjectRef(self.endpoint, key)).base.payload()

    def put_once(self, key: str, data: bytes) -> int:
        """See ``FlightClient.put_once``."""
        return self.client.put_once(key, data)

    def tell(self, key: str, data: bytes) -> None:
        """See ``FlightClient.tell``."""
        self.client.tell(key, data)

    def look(self, key: str) -> tuple[int, memoryview] | None:
        """See ``FlightClient.look``."""
        return self.client.look(key)

    def put(self, key: str, payload: Payload) -> ObjectRef:
        return self.store.put(key, payload)

    def put_value(self, key: str, value: Value) -> ObjectRef:
        return self.store.put_value(key, value)

    def get(self, ref: ObjectRef) -> StoredObject:
        return self.store.get(ref)

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        return self.store.patch(ref, payload)

    def delete(self, prefix: str) -> None:
        self.store.delete(prefix)

    def spill(self, value: Value) -> None:
        """The cluster decides where its values lie."""

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._store.client.close()
