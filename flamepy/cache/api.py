# SPDX-License-Identifier: Apache-2.0
"""The seam of the object cache: encoded values at rest, under keys, with versions and patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flamepy.codec.payload import Payload
from flamepy.core.cache import ObjectRef


class Value(Protocol):
    """An encoded value, wherever it lies: read only when it is asked for."""

    @property
    def nbytes(self) -> int:
        """Bytes of the payload."""
        ...

    def payload(self) -> Payload:
        """The encoded value itself, private to the caller. Raises NotFound where it is gone."""
        ...


@dataclass(frozen=True)
class StoredObject:
    """version: of the newest change; base: the object as last put; patches: the changes since then, oldest first."""

    version: int
    base: Value
    patches: tuple[Value, ...] = ()


class ObjectStore(Protocol):
    """Where encoded objects live. Keys are ``<app>/<session>/<object>``; versions start at 1. Safe from any thread.

    The store decides in which memory, or on which machine. Raises InvalidArgument for a malformed key, NotFound for an
    unknown one, FlameError where there is no room.
    """

    endpoint: str

    def put(self, key: str, payload: Payload) -> ObjectRef:
        """Store under a full key (a new version, patches dropped) or under a fresh id below ``<app>/<session>``."""
        ...

    def put_value(self, key: str, value: Value) -> ObjectRef:
        """The same with a value that the engine has already: not moved where that can be avoided."""
        ...

    def get(self, ref: ObjectRef) -> StoredObject:
        """The newest version, whatever version ``ref`` names."""
        ...

    def patch(self, ref: ObjectRef, payload: Payload) -> ObjectRef:
        """Append a change; returns a ref with the new version."""
        ...

    def delete(self, prefix: str) -> None:
        """Delete ``<app>/<session>/<object>``, all of ``<app>/<session>`` or all of ``<app>/*``. Unknown is fine."""
        ...

    def spill(self, value: Value) -> None:
        """Where values lie in the memory of this machine: move this one to disk, where it reads as before."""
        ...
