# SPDX-License-Identifier: Apache-2.0
"""Values on their way to a cluster and back: in place while they are small, else in its object cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from flamepy.cache.api import Value
from flamepy.codec.framed import nbytes_of, parts_of, payload_of
from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectRef
from flamepy.engine.completion import Completion
from flamepy.engine.dependencies import Dependencies
from flamepy.protocol.cluster.parcels import INLINE_LIMIT_BYTES, Parcel


class Objects(Protocol):
    """Of the cluster's cache, what calls need."""

    def put_parts(self, key: str, parts: Sequence[bytes | memoryview]) -> ObjectRef: ...

    def payload(self, key: str) -> Payload: ...

    def put_once(self, key: str, data: bytes) -> int: ...

    def tell(self, key: str, data: bytes) -> None: ...

    def look(self, key: str) -> tuple[int, memoryview] | None: ...


@dataclass(frozen=True, eq=False)
class ParcelValue:
    """Implements ``cache.api.Value``: stays in the cache until it is read."""

    parcel: Parcel
    objects: Objects

    @property
    def nbytes(self) -> int:
        """Of the value itself, as on every engine: without the lengths that it travels with."""
        return self.parcel.nbytes if self.parcel.data is None else payload_of(self.parcel.data).nbytes

    def payload(self) -> Payload:
        return self.objects.payload(self.parcel.key) if self.parcel.data is None else payload_of(self.parcel.data)


def parcel_of(payload: Payload, prefix: str, objects: Objects) -> Parcel:
    """The payload as it can travel; a big one is uploaded below ``prefix``. Raises FlameError."""
    parts = parts_of(payload)
    nbytes = nbytes_of(parts)
    if nbytes <= INLINE_LIMIT_BYTES:
        return Parcel(nbytes, b"".join(parts))
    return Parcel(nbytes, key=objects.put_parts(prefix, parts).key)


def parcels_of(dependencies: Dependencies, prefix: str, objects: Objects) -> list[Parcel]:
    """The arguments, in their order, when all calls among them have ended with a value; they are not downloaded."""
    return [_parcel_of(each, prefix, objects) for each in dependencies]


def _parcel_of(dependency: Completion | ObjectRef, prefix: str, objects: Objects) -> Parcel:
    if isinstance(dependency, ObjectRef):
        return Parcel(0, key=dependency.key)
    assert dependency.outcome is not None, "see when_all_ended"
    value: Value | None = dependency.outcome.value
    assert value is not None, "see failed_dependency"
    return value.parcel if isinstance(value, ParcelValue) else parcel_of(value.payload(), prefix, objects)
