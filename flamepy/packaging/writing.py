# SPDX-License-Identifier: Apache-2.0
"""Files of packages appear whole or not at all, and who cannot write one says what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from flamepy.core.descriptors import NO_DESCRIPTORS

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)


@contextlib.contextmanager
def temporary_file_in(directory: Path) -> Iterator[Path]:
    """A name to write to and then to rename. What is not renamed is gone afterwards, also after KeyboardInterrupt."""
    part = directory / f".{os.urandom(16).hex()}.part"
    try:
        yield part
    finally:
        part.unlink(missing_ok=True)


def cure_for_write(code: int | None) -> str:
    """What to do when a place for packages refuses to be written. code: an ``errno``."""
    if code in _FULL:
        return "It is full: delete old packages there, or use a place with more space."
    if code in _FORBIDDEN:
        return "Give this user the right to write there, or use another place."
    if code in NO_DESCRIPTORS:
        return "Close files and sockets, drop big results, or raise the limit with 'ulimit -n'."
    return "Check that the place is there and healthy, or use another one."
