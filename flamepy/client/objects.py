# SPDX-License-Identifier: Apache-2.0
"""Objects in the cache of the current engine: ``flamepy.cache.objects`` with the store filled in."""

from __future__ import annotations

from typing import Any

from flamepy.cache import objects
from flamepy.cache.api import ObjectStore
from flamepy.core.cache import ObjectRef
from flamepy.engine.current import current_engine, engine_at


def put_object(key_prefix: str, obj: Any) -> ObjectRef:
    """Store ``obj`` below ``<app>/<session>``, or under ``<app>/<session>/<object>``."""
    return objects.put_object(current_engine().objects, key_prefix, obj)


def get_object(ref: ObjectRef, deserializer: objects.Deserializer | None = None) -> Any:
    """The object as last put; with ``deserializer``, what it makes of (object, [patch, ...]). Raises NotFound."""
    return objects.get_object(_cache_of(ref), ref, deserializer)


def update_object(ref: ObjectRef, obj: Any) -> ObjectRef:
    """Replace the object and drop its patches; returns a reference with the new version."""
    return objects.update_object(_cache_of(ref), ref, obj)


def patch_object(ref: ObjectRef, delta: Any) -> ObjectRef:
    """Append a change; returns a reference with the new version. Raises NotFound."""
    return objects.patch_object(_cache_of(ref), ref, delta)


def delete_objects(prefix: str) -> None:
    """Delete ``<app>/<session>/<object>``, all of ``<app>/<session>``, or all of ``<app>/*``."""
    objects.delete_objects(current_engine().objects, prefix)


def _cache_of(ref: ObjectRef) -> ObjectStore:
    """What one engine has in its memory, no other can have: none is started to look there."""
    return (engine_at(ref.endpoint) if ref.endpoint.startswith("local://") else current_engine()).objects
