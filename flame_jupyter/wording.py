# SPDX-License-Identifier: Apache-2.0
"""Small texts for people: short lists, sizes, numbers with their noun, the word that was probably meant. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MAX_NAMED = 3


def listed(names: Sequence[str]) -> str:
    """``a``, ``a and b``, or ``a, b, c and 4 more``"""
    more = len(names) - MAX_NAMED
    *first, last = [*names[:MAX_NAMED], f"{more} more"] if more > 0 else names or [""]
    return f"{', '.join(first)} and {last}" if first else last


def counted(number: int, noun: str) -> str:
    """``1 file``, ``2 files``"""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def size_text(nbytes: int) -> str:
    """Bytes for people, in powers of 1024."""
    if nbytes < 1024:
        return f"{nbytes} B"
    size = float(nbytes)
    for unit in ("KB", "MB", "GB"):
        size /= 1024
        if size < 999.5 or unit == "GB":
            return f"{size:.0f} {unit}" if size >= 10 else f"{size:.1f} {unit}"
    raise AssertionError("unreachable: GB takes everything")


def close_matches(word: str, possible: Iterable[str], cutoff: float = 0.6) -> list[str]:
    """The one word that was probably meant, or none."""
    import difflib  # only in the error path: it takes 3 ms to load

    return difflib.get_close_matches(word, list(possible), n=1, cutoff=cutoff)
