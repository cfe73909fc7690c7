# SPDX-License-Identifier: Apache-2.0
"""The cluster's object cache, as the travelling worker uses it: opened with the first value that lies there."""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from flamepy.clock import monotonic_s
from flamepy.codec.framed import nbytes_of, parts_of, payload_of
from flamepy.codec.payload import Payload
from flamepy.errors import FlameError, InvalidConfig, TlsFailed
from flamepy.protocol.cluster.parcels import INLINE_LIMIT_BYTES, Parcel

if TYPE_CHECKING:
    from flamepy.cache.flight.client import FlightClient

_PAUSE_S = 0.5


class CacheAccess:
    """endpoint: of the cache; prefix: ``<app>/<session>``, below which this worker puts what it makes."""

    def __init__(self, endpoint: str, prefix: str) -> None:
        self._endpoint = endpoint
        self._prefix = prefix

    @functools.cached_property
    def _client(self) -> FlightClient:
        from flamepy.instance.cache_connection import connect_to_cache  # half a second; small calls do without it

        return connect_to_cache(self._endpoint, os.environ)

    def payload(self, parcel: Parcel) -> Payload:
        """Raises NotFound and other FlameErrors."""
        if parcel.data is not None:
            return payload_of(parcel.data)
        from flamepy.cache.flight.store import FlightStore
        from flamepy.core.cache import ObjectRef

        return FlightStore(self._client).get(ObjectRef(self._endpoint, parcel.key)).base.payload()

    def parcel(self, payload: Payload) -> Parcel:
        parts = parts_of(payload)
        nbytes = nbytes_of(parts)
        if nbytes <= INLINE_LIMIT_BYTES:
            return Parcel(nbytes, b"".join(parts))
        return self._put(parts, nbytes)

    def _put(self, parts: Sequence[bytes | memoryview], nbytes: int) -> Parcel:
        return Parcel(nbytes, key=self._client.put(self._prefix, parts).key)

    def look(self, name: str) -> tuple[int, memoryview] | None:
        """The version, and what the caller has put under ``name``; None = nothing. Raises other FlameErrors."""
        return self._client.look(f"{self._prefix}/{name}")

    def write(self, name: str, data: bytes) -> None:
        self._client.tell(f"{self._prefix}/{name}", data)

    def count(self, name: str) -> int:
        """How often this was called for ``name``, on whatever node, this time included.

        A cache that does not answer is waited for. Raises FlameError when that takes too long.
        """
        from flamepy.cache.flight.client import PATIENCE_S

        mark = os.urandom(16)  # by which this call is known in the cache
        give_up_s = monotonic_s() + PATIENCE_S
        while True:
            try:
                return self._client.put_once(f"{self._prefix}/{name}", mark)
            except (InvalidConfig, TlsFailed):
                raise  # waiting changes nothing
            except FlameError:
                if monotonic_s() >= give_up_s:
                    raise
            time.sleep(_PAUSE_S)
            with contextlib.suppress(FlameError):
                found = self.look(name)
                if found is not None and found[1] == mark:  # only the answer was lost
                    return found[0]
