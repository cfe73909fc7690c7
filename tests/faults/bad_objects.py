# SPDX-License-Identifier: Apache-2.0
"""Objects and functions that go wrong at one exact stage of a call."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from typing import Any


class FailsWhenPickled:
    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be pickled today")


class FailsWhenUnpickled:
    def __reduce__(self) -> Any:
        return fail_to_load, ()


class EndsWorkerWhenUnpickled:
    def __reduce__(self) -> Any:
        return os._exit, (5,)


class EndsWorkerWhenPickled:
    def __reduce__(self) -> Any:
        os._exit(6)


def fail_to_load() -> None:
    raise RuntimeError("cannot be unpickled today")


class UnpicklableError(Exception):
    """An exception that cannot travel."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


class AwkwardError(Exception):
    """Pickles, but its constructor wants more than ``args``."""

    def __init__(self, code: int, *, detail: str) -> None:
        super().__init__(f"{code}: {detail}")


def echo(value: Any) -> Any:
    return value


def raise_value_error(value: Any) -> None:
    raise ValueError(f"no {value}")


def raise_empty(value: Any) -> None:
    raise ValueError


def raise_unpicklable(value: Any) -> None:
    raise UnpicklableError("holds a lock")


def raise_awkward(value: Any) -> None:
    raise AwkwardError(3, detail="awkward")


def return_unpicklable(value: Any) -> Any:
    return FailsWhenPickled()


def return_deadly(value: Any) -> Any:
    return EndsWorkerWhenPickled()


def return_poisoned(value: Any) -> Any:
    return FailsWhenUnpickled()


def leave(value: Any) -> None:
    sys.exit(3)


def leave_at_once(value: Any) -> None:
    os._exit(7)


def crash(value: Any) -> None:
    ctypes.string_at(0)


def kill_itself(value: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def interrupt_itself(value: Any) -> None:
    raise KeyboardInterrupt


def recurse(value: Any) -> Any:
    return recurse(value)


def use_up_memory(value: Any) -> Any:
    return bytearray(1 << 62)
