# SPDX-License-Identifier: Apache-2.0
"""Values in an object cache: encodes and decodes over any ``ObjectStore``. What comes out is always a private copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flamepy.cache.api import ObjectStore
from flamepy.codec.pickling import encode
from flamepy.codec.reading import decode_or_explain
from flamepy.core.cache import ObjectRef

Deserializer = Callable[[Any, list[Any]], Any]
"""Makes a value of the base and of the patches since then, oldest first."""


def put_object(store: ObjectStore, prefix: str, value: object) -> ObjectRef:
    """Store ``value`` under a fresh id below ``<app>/<session>``. Raises NotPicklable, InvalidArgument."""
    return store.put(prefix, encode(value, what=f"object for {prefix}"))


def get_object(store: ObjectStore, ref: ObjectRef, deserializer: Deserializer | None = None) -> Any:
    """The newest value: ``deserializer(base, patches)``, or the base alone without one.

    Raises NotFound, NotPicklable.
    """
    stored = store.get(ref)
    what = f"the object {ref.key}"
    base = decode_or_explain(stored.base.payload(), what)
    if deserializer is None:
        return base
    return deserializer(base, [decode_or_explain(patch.payload(), f"a patch of {what}") for patch in stored.patches])


def update_object(store: ObjectStore, ref: ObjectRef, value: object) -> ObjectRef:
    """Replace the value and drop its patches; returns a ref with the new version."""
    return store.put(ref.key, encode(value, what=f"object {ref.key}"))


def patch_object(store: ObjectStore, ref: ObjectRef, delta: object) -> ObjectRef:
    """Append a change, for a deserializer to apply; returns a ref with the new version. Raises NotFound."""
    return store.patch(ref, encode(delta, what=f"patch of object {ref.key}"))


def delete_objects(store: ObjectStore, prefix: str) -> None:
    """Delete one object, a session's (``<app>/<session>``) or an application's (``<app>/*``). Unknown is fine."""
    store.delete(prefix)
