# SPDX-License-Identifier: Apache-2.0
"""What travels for a stream: each part of a generator is an ordinary call with one of these as its request.

The worker keeps the generator between the calls, by the id of its stream (worker/services/stream.py); the caller asks
for one step after the other (runner/service/object_stream.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Begins the result of the step in which the generator ended, before the pickle of what it returned. A pickle begins
# with 0x80, so no value that a generator yields looks like this, and no value has to be decoded to find out.
END_TAG = b"flame: end of stream\n"


@dataclass(frozen=True)
class StreamStep:
    """Run the generator to its next part. begin: the request that makes it; None after the first step."""

    stream_id: str
    begin: Any = None


@dataclass(frozen=True)
class StreamClose:
    """Stop the generator where it is."""

    stream_id: str
