# SPDX-License-Identifier: Apache-2.0
"""The memory barrier between an engine and its workers (Linux ``membarrier``).

A worker notes "this call has begun" and then looks whether its calls are recalled; the engine notes "recalled" and
then looks which call has begun. Without a barrier between the two steps each side could miss what the other wrote.
The barrier stands in the engine's rare step, for both: a worker pays nothing for it.
"""

from __future__ import annotations

import ctypes
import os
import time

_NUMBERS = {"x86_64": 324, "aarch64": 283, "riscv64": 283, "ppc64le": 365, "s390x": 356}  # linux/unistd.h of each
_GLOBAL_EXPEDITED, _REGISTER_GLOBAL_EXPEDITED = 1 << 1, 1 << 2  # linux/membarrier.h, since Linux 4.16
_SETTLE_S = 0.001  # where there is no such call: a processor's stores are seen long before


def register_process() -> None:
    """In a worker: the engine's barriers count for this process too."""
    _membarrier(_REGISTER_GLOBAL_EXPEDITED)


def full_fence() -> None:
    """In the engine: workers see what was written before; what they wrote before they looked is seen here."""
    if not _membarrier(_GLOBAL_EXPEDITED):
        time.sleep(_SETTLE_S)


def _membarrier(command: int) -> bool:
    number = _NUMBERS.get(os.uname().machine)
    return number is not None and ctypes.CDLL(None).syscall(number, command, 0, 0) == 0
