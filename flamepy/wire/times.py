# SPDX-License-Identifier: Apache-2.0
"""Times on the wire: whole milliseconds since 1970."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_START = datetime(1970, 1, 1, tzinfo=timezone.utc)
_FIRST, _LAST = datetime.min.replace(tzinfo=timezone.utc), datetime.max.replace(tzinfo=timezone.utc)


def to_ms(time: datetime) -> int:
    """Milliseconds since 1970, rounded down."""
    return (time - _START) // timedelta(milliseconds=1)


def from_ms(time_ms: int) -> datetime:
    """The time in UTC; for what no clock shows, the first or the last one that Python has."""
    try:
        return _START + timedelta(milliseconds=time_ms)
    except OverflowError:
        return _LAST if time_ms > 0 else _FIRST
