# SPDX-License-Identifier: Apache-2.0
"""The encoded form of a value: what encoders make, what everything below moves without looking inside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)  # not frozen, which would triple the cost of making one; no code changes it
class Payload:
    """data: a pickle stream (protocol 5); buffers: the big buffers that were left out of it, in order, flat bytes."""

    data: bytes | memoryview
    buffers: Sequence[memoryview] = ()

    @property
    def nbytes(self) -> int:
        return len(self.data) + sum(buffer.nbytes for buffer in self.buffers)
