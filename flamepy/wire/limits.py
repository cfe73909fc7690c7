# SPDX-License-Identifier: Apache-2.0
"""How much one message may hold, and what is said of one that holds more."""

from __future__ import annotations

MAX_MESSAGE_BYTES = 4 << 20  # what a cluster's programs read; the input and the output of a task go in one each


def too_large(nbytes: int) -> str:
    """In the words of a cluster."""
    return f"Error, decoded message length too large: found {nbytes} bytes, the limit is: {MAX_MESSAGE_BYTES} bytes"
