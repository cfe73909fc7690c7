# SPDX-License-Identifier: Apache-2.0
"""The object cache of a cluster as an ``ObjectStore``: what ``put_object`` keeps there, 0.6 programs can read."""

from __future__ import annotations

from dataclasses import dataclass

from flamepy.cache.api import StoredObject, Value
from flamepy.cache.flight.client import Fetched, FlightClient
from flamepy.codec import framed
from flamepy.codec.in_band import pickle_of
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode
from flamepy.core.cache import ObjectKey, ObjectRef
from flamepy.errors import InvalidArgument
from flamepy.wire import objects


@dataclass(frozen=True)
class HeldValue:
    """Implements ``cache.api.Value``: bytes that are here. data: as the cache has them."""

    data: bytes | memoryview

    @property
    def nbytes(self) -> int:
        return len(self.data)

    def payload(self) -> Payload:
        return payload_of(self.data)


@dataclass(frozen=True)
class TableValue:
    """Implements ``cache.api.Value``: a table that the cache keeps as one."""

    table: object
    nbytes: int

    def payload(self) -> Payload:
        return encode(self.table)


class FlightStore:
    """Implements ``cache.api.ObjectStore``. Safe from any thread."""

    def __init__(self, client: FlightClient) -> None:
        self.client = client
        self.endpoint = client.endpoint

    def put(self, key: str, payload: Payload) -> ObjectRef:
        return self.client.put(_checked(key), [objects.PICKLE, *pickle_of(payload)])

    def put_value(self, key: str, value: Value) -> ObjectRef:
        return self.put(key, value.payload())

    def get(self, ref: ObjectRef) -> StoredObject:
        fetched = self.client.get(ref.key)
        return StoredObject(fetched.version, _base(fetched), tuple(map(HeldValue, fetched.patches)))

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        return self.client.patch(ref.key, [objects.PICKLE, *pickle_of(payload)])

    def delete(self, prefix: str) -> None:
        self.client.delete(_checked(prefix))

    def spill(self, value: Value) -> None:
        """The cluster decides where its values lie."""


def _base(fetched: Fetched) -> Value:
    if fetched.table is not None:
        return TableValue(fetched.table, fetched.table.nbytes)
    return HeldValue(fetched.base)


def payload_of(data: bytes | memoryview) -> Payload:
    """What an object of the cache holds, whoever wrote it. Raises FlameError for what is damaged."""
    prefix = bytes(data[: objects.PREFIX_BYTES])
    if prefix == framed.MAGIC:
        return framed.payload_of(data)
    if prefix == objects.PICKLE:
        return Payload(memoryview(data)[objects.PREFIX_BYTES :])
    return encode(objects.decode(data))


def _checked(key: str) -> str:
    try:
        ObjectKey.from_path(key)
    except ValueError as error:
        raise InvalidArgument(str(error)) from error
    return key
