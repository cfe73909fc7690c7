# SPDX-License-Identifier: Apache-2.0
"""Objects in the cache of the current engine: ``flamepy.cache.objects`` with the store filled in."""

from __future__ import annotations

from typing import Any

from flamepy.cache import objects
from flamepy.cache.api import ObjectStore
from flamepy.core.cache import ObjectRef
from flamepy.engine.current import current_engine, engine_at


def put_object(key_prefix: str, obj: Any) -> ObjectRef:
    """Store an object in the cache of the current engine.

    Args:
        key_prefix: ``<app>/<session>``, and the object gets an id of its own; or ``<app>/<session>/<object>``.
        obj: Anything that pickles. Later changes to it do not reach the cache.

    Returns:
        Where it lies; given to a call as an argument, it becomes the object.

    Raises:
        InvalidArgument: When the prefix has another form.
        NotPicklable: When the object cannot travel.

    Example:
        >>> import flamepy
        >>> ref = flamepy.put_object("my-app/session/settings", {"rate": 0.5})
        >>> (ref.key, ref.version, flamepy.get_object(ref))
        ('my-app/session/settings', 1, {'rate': 0.5})
    """
    return objects.put_object(current_engine().objects, key_prefix, obj)


def get_object(ref: ObjectRef, deserializer: objects.Deserializer | None = None) -> Any:
    """Read an object from the cache: the newest version, whatever version the reference has.

    Args:
        ref: From ``put_object``, ``ObjectFuture.ref`` or another call.
        deserializer: Called with the object and the list of its patches, oldest first; by default patches are left out.

    Returns:
        The object, or what ``deserializer`` made of it: a copy of its own at each call.

    Raises:
        NotFound: When it is not there any more.
        NotPicklable: When it cannot be read here, such as for lack of a module.

    Example:
        >>> import flamepy
        >>> ref = flamepy.put_object("my-app/session", [1])
        >>> ref = flamepy.patch_object(ref, [2])
        >>> flamepy.get_object(ref, lambda base, patches: sum(patches, base))
        [1, 2]
    """
    return objects.get_object(_cache_of(ref), ref, deserializer)


def update_object(ref: ObjectRef, obj: Any) -> ObjectRef:
    """Replace an object and drop its patches.

    Args:
        ref: The object.
        obj: The new one.

    Returns:
        A reference with the new version.

    Raises:
        NotPicklable: When the new one cannot travel.

    Example:
        >>> import flamepy
        >>> ref = flamepy.put_object("my-app/session", "old")
        >>> flamepy.get_object(flamepy.update_object(ref, "new"))
        'new'
    """
    return objects.update_object(_cache_of(ref), ref, obj)


def patch_object(ref: ObjectRef, delta: Any) -> ObjectRef:
    """Append a change to an object, for the deserializer of ``get_object``: cheaper than putting a big one again.

    Args:
        ref: The object.
        delta: The change, whatever the deserializer understands.

    Returns:
        A reference with the new version.

    Raises:
        NotFound: When the object is not there any more.
        NotPicklable: When the change cannot travel.

    Example:
        >>> import flamepy
        >>> ref = flamepy.put_object("my-app/session", {"a": 1})
        >>> flamepy.patch_object(ref, {"b": 2}).version
        2
    """
    return objects.patch_object(_cache_of(ref), ref, delta)


def delete_objects(prefix: str) -> None:
    """Delete objects from the cache of the current engine. Deleting what is not there is no error.

    Args:
        prefix: ``<app>/<session>/<object>`` for one, ``<app>/<session>`` for all of a session, ``<app>/*`` for all of
            an application.

    Raises:
        InvalidArgument: When the prefix has another form.

    Example:
        >>> import flamepy
        >>> ref = flamepy.put_object("my-app/session", "short-lived")
        >>> flamepy.delete_objects("my-app/*")
        >>> flamepy.get_object(ref)
        Traceback (most recent call last):
        flamepy.errors.NotFound: ...
    """
    objects.delete_objects(current_engine().objects, prefix)


def _cache_of(ref: ObjectRef) -> ObjectStore:
    """What one engine has in its memory, no other can have: none is started to look there."""
    return (engine_at(ref.endpoint) if ref.endpoint.startswith("local://") else current_engine()).objects
