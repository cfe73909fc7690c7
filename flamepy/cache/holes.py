# SPDX-License-Identifier: Apache-2.0
"""Give the disk space of a file's beginning back while others go on writing at its end.

Unlike truncating and writing the end again, this loses nothing that is written meanwhile: offsets stay as they are.
"""

from __future__ import annotations

import ctypes
import os
import sys

_KEEP_SIZE_AND_PUNCH = 0x01 | 0x02  # linux/falloc.h
_BLOCK_BYTES = 512  # the unit of st_blocks, whatever the file system's is


def allocated_bytes(fd: int) -> int:
    """What the file takes on its disk."""
    return os.fstat(fd).st_blocks * _BLOCK_BYTES


def punch(fd: int, until: int) -> bool:
    """Free everything before the offset ``until``, which reads as zeros then; False where that cannot be done."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    length = ctypes.c_int64(until)
    return bool(libc.fallocate(fd, _KEEP_SIZE_AND_PUNCH, ctypes.c_int64(0), length) == 0)
