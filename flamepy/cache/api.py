# SPDX-License-Identifier: Apache-2.0
"""The seam of the object cache: encoded objects under keys, with versions and patches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from flamepy.cache.blob import Blob
from flamepy.core.cache import ObjectRef


@dataclass(frozen=True)
class StoredObject:
    """version: of the newest change; base: the object as last put; patches: the changes since then, oldest first."""

    version: int
    base: Blob
    patches: tuple[Blob, ...] = ()


class ObjectStore(Protocol):
    """Where encoded objects live. Keys are ``<app>/<session>/<object>``; versions start at 1. Safe from any thread.

    Raises InvalidArgument for a malformed key, NotFound for an unknown one.
    """

    endpoint: str

    def put(self, key: str, blob: Blob) -> ObjectRef:
        """Store under a full key (a new version, patches dropped) or under a fresh id below ``<app>/<session>``."""
        ...

    def get(self, ref: ObjectRef) -> StoredObject:
        """The newest version, whatever version ``ref`` names."""
        ...

    def patch(self, ref: ObjectRef, blob: Blob) -> ObjectRef:
        """Append a change; returns a ref with the new version."""
        ...

    def delete(self, prefix: str) -> None:
        """Delete ``<app>/<session>/<object>``, all of ``<app>/<session>`` or all of ``<app>/*``. Unknown is fine."""
        ...


@runtime_checkable
class SpillingStore(Protocol):
    """What a store can do beyond ``ObjectStore`` when values lie in the memory of this machine."""

    def spill(self, blob: Blob) -> None:
        """Move a value to disk, where it reads as before. One that stays in memory is no error."""
        ...
