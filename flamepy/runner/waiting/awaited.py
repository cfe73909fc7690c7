# SPDX-License-Identifier: Apache-2.0
"""What is waited for, as far as hooks, bridges and displays of progress look at it: every ObjectFuture is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from flamepy.errors import FlameError


class Awaited(Protocol):
    """A call that is out, or has ended. The members mean what those of ``ObjectFuture`` do."""

    id: int

    @property
    def name(self) -> str: ...

    @property
    def state(self) -> str: ...

    def done(self) -> bool: ...

    def running(self) -> bool: ...

    def cancelled(self) -> bool: ...

    def cancel(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...

    def get(self, timeout: float | None = None) -> Any: ...

    def exception(self, timeout: float | None = None) -> FlameError | None: ...

    def add_done_callback(self, fn: Callable[[Any], object]) -> None: ...
