# SPDX-License-Identifier: Apache-2.0
"""Names of objects in the cache. Pinned: 0.6 pickles ``flamepy.core.cache.ObjectRef`` under this path.

Standard library only. The encoded form of a reference is a BSON document of three fields; a reader and a
writer for that one shape are shorter than a driver.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_STRING, _INT32, _INT64 = 0x02, 0x10, 0x12
ALL_SESSIONS = "*"
_TOO_SHORT = "these bytes are not an encoded ObjectRef: they end too early"


@dataclass
class ObjectRef:
    """Where an object lives. Made by ``put_object`` and its kin; given to a call as an argument, it becomes the object.

    Attributes:
        endpoint: The address of the cache.
        key: ``<app>/<session>/<object>``.
        version: The one that was current when this was made, from 1 on; 0 = not known.

    Example:
        >>> from flamepy import ObjectRef
        >>> ref = ObjectRef("grpc://cache:9090", "my-app/session/object", version=2)
        >>> ObjectRef.decode(ref.encode()) == ref
        True
    """

    endpoint: str
    key: str
    version: int = 0

    def encode(self, *, is_wide: bool = False) -> bytes:
        """The reference as a BSON document: endpoint, key, version, in this order.

        Args:
            is_wide: Also a small version as eight bytes, as servers write it; by default as short as it can be.

        Returns:
            The document.
        """
        is_wide = is_wide or self.version >= 2**31
        integer = struct.pack("<q" if is_wide else "<i", self.version)
        body = (
            _text("endpoint", self.endpoint)
            + _text("key", self.key)
            + bytes([_INT32 if len(integer) == 4 else _INT64])
            + b"version\0"
            + integer
        )
        return struct.pack("<i", len(body) + 5) + body + b"\0"

    @classmethod
    def decode(cls, data: bytes) -> ObjectRef:
        """Read what ``encode``, or 0.6, wrote.

        Args:
            data: The BSON document.

        Returns:
            The reference.

        Raises:
            ValueError: For anything else.
        """
        fields: dict[str, str | int] = {}
        if len(data) < 5 or struct.unpack_from("<i", data)[0] != len(data) or data[-1:] != b"\0":
            raise ValueError("these bytes are not an encoded ObjectRef: they are no BSON document")
        offset = 4
        while offset < len(data) - 1:
            kind, end = data[offset], data.index(b"\0", offset + 1)
            name = data[offset + 1 : end].decode()
            offset = end + 1
            try:
                if kind == _STRING:
                    length = struct.unpack_from("<i", data, offset)[0]
                    if length < 1 or offset + 4 + length > len(data) - 1 or data[offset + 3 + length]:
                        raise ValueError(_TOO_SHORT)
                    fields[name] = data[offset + 4 : offset + 3 + length].decode()
                    offset += 4 + length
                elif kind in (_INT32, _INT64):
                    shape = "<i" if kind == _INT32 else "<q"
                    fields[name] = struct.unpack_from(shape, data, offset)[0]
                    offset += struct.calcsize(shape)
                else:
                    raise ValueError(f"these bytes are not an encoded ObjectRef: {name!r} has BSON type {kind:#x}")
            except struct.error as error:
                raise ValueError(_TOO_SHORT) from error
        match fields:
            case {"endpoint": str(endpoint), "key": str(key), **rest} if not rest.keys() - {"version"}:
                version = rest.get("version", 0)
                return cls(endpoint, key, version if isinstance(version, int) else 0)
        raise ValueError(f"these bytes are not an encoded ObjectRef: they hold {sorted(fields)}")


def _text(name: str, value: str) -> bytes:
    data = value.encode() + b"\0"
    return bytes([_STRING]) + name.encode() + b"\0" + struct.pack("<i", len(data)) + data


@dataclass(frozen=True)
class ObjectKey:
    """``<app>/<session>/<object>``, or the prefix ``<app>/<session>``; session ``*`` means all of an application."""

    app_name: str
    session_id: str
    object_id: str | None = None

    def __post_init__(self) -> None:
        for part in (self.app_name, self.session_id, self.object_id):
            if part is not None and (not part or ".." in part or "\\" in part or "/" in part):
                raise ValueError(f"Invalid key component: {part!r}. Use names without '/', '\\' and '..'.")
        if ALL_SESSIONS in (self.app_name, self.object_id):
            raise ValueError("Wildcard '*' only allowed for session_id: write '<app>/*'.")
        if self.session_id == ALL_SESSIONS and self.object_id is not None:
            raise ValueError("Wildcard session '*' cannot have object_id: write '<app>/*'.")

    @classmethod
    def from_path(cls, path: str) -> ObjectKey:
        """Read a prefix or a full key. Raises ValueError."""
        parts = path.split("/")
        if len(parts) not in (2, 3):
            raise ValueError(f"Invalid path {path!r}: expected '<app>/<session>' or '<app>/<session>/<object>'.")
        return cls(*parts)

    @classmethod
    def from_prefix(cls, prefix: str) -> ObjectKey:
        """Read ``<app>/<session>``. Raises ValueError."""
        key = cls.from_path(prefix)
        if key.object_id is not None:
            raise ValueError(f"Invalid prefix {prefix!r}: expected '<app>/<session>'.")
        return key

    @classmethod
    def from_key(cls, key: str) -> ObjectKey:
        """Read ``<app>/<session>/<object>``. Raises ValueError."""
        parsed = cls.from_path(key)
        if parsed.object_id is None:
            raise ValueError(f"Invalid key {key!r}: expected '<app>/<session>/<object>'.")
        return parsed

    @classmethod
    def for_shared(cls, app_name: str) -> ObjectKey:
        return cls(app_name, "shared")

    @classmethod
    def for_all_sessions(cls, app_name: str) -> ObjectKey:
        return cls(app_name, ALL_SESSIONS)

    def is_all_sessions(self) -> bool:
        return self.session_id == ALL_SESSIONS

    def with_generated_id(self) -> ObjectKey:
        import uuid  # here, because it takes 2 ms to load, and workers and the first call do without it

        return ObjectKey(self.app_name, self.session_id, str(uuid.uuid4()))

    def to_prefix(self) -> str:
        return f"{self.app_name}/{self.session_id}"

    def to_key(self) -> str:
        """Raises ValueError for a prefix."""
        if self.object_id is None:
            raise ValueError(f"{self.to_prefix()!r} is a prefix, not a key: add an object id.")
        return f"{self.to_prefix()}/{self.object_id}"

    def matches_key(self, key: str) -> bool:
        """Is ``key`` this key, or below this prefix?"""
        other = ObjectKey.from_key(key)
        return (
            other.app_name == self.app_name
            and (self.is_all_sessions() or other.session_id == self.session_id)
            and (self.object_id is None or other.object_id == self.object_id)
        )
