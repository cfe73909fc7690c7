# SPDX-License-Identifier: Apache-2.0
"""Questions to the host engine: each gets one answer."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from flamepy.cache.blob import Blob
from flamepy.errors import FlameError


class Reply:
    """A place for one answer, and a gate that opens when it is there."""

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()
        self.error: FlameError | None = None
        self.value: Any = None
        self.blobs: list[Blob] = []


class Ask(Protocol):
    """Asks the host and waits. Raises the FlameError that the host raised."""

    def __call__(self, method: str, *arguments: Any, blobs: list[Blob] | None = None) -> Reply: ...
