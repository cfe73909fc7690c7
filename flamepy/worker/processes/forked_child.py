# SPDX-License-Identifier: Apache-2.0
"""A process that a call forked and that comes out of the call, as its parent does: here it ends.

It has a copy of everything that the worker has. If it went on it would answer the call a second time, and take
calls that are meant for the worker.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import traceback
from typing import NoReturn

_MADV_WIPEONFORK = 18  # linux/mman.h: a forked child finds zeros in this memory


class ForkMark:
    """Tells the process that made it from what that forks, also in C. Costs no system call where Linux helps."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._page: mmap.mmap | None = None
        with contextlib.suppress(OSError, ValueError, AttributeError):  # another system, or an old kernel
            page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            page.madvise(_MADV_WIPEONFORK)
            page[0] = 1
            self._page = page

    def is_in_child(self) -> bool:
        """Is this process another one than that which made the mark?"""
        return not self._page[0] if self._page is not None else os.getpid() != self._pid


def end_forked_child(error: BaseException | None) -> NoReturn:
    """End this process as a script's would end: ``error`` is what came out of the call, None = a value."""
    exit_code = _exit_code(error)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the code closed or replaced it
            stream.flush()
    os._exit(exit_code)


def _exit_code(error: BaseException | None) -> int:
    """Exit code as the interpreter gives it; what it would print goes to standard error."""
    if error is None:
        return 0
    if isinstance(error, SystemExit) and (error.code is None or isinstance(error.code, int)):
        return (error.code or 0) & 0xFF
    with contextlib.suppress(Exception):
        if isinstance(error, SystemExit):
            sys.stderr.write(f"{error.code}\n")
        else:
            traceback.print_exception(error)
    return 1
