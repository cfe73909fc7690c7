# SPDX-License-Identifier: Apache-2.0
"""Plain values in a message: short, and soon. Standard library only."""

from __future__ import annotations

import reprlib

_SHOWN_BITS = 200  # of an integer: writing out a long one takes long, and beyond 4,300 digits Python refuses
_DIGITS_OF_A_BIT = 0.30103


def short_repr(value: object) -> str:
    """``reprlib.repr``, save for long integers."""
    if isinstance(value, int) and (bits := value.bit_length()) > _SHOWN_BITS:
        return f"<an integer of about {int(bits * _DIGITS_OF_A_BIT) + 1:,} digits>"
    return reprlib.repr(value)


def url_without_secrets(url: str) -> str:
    """A url as it may be shown: without user, password and query."""
    scheme, separator, rest = url.partition("://") if "://" in url else ("", "", url)
    place, slash, path = rest.partition("?")[0].partition("#")[0].partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}"
