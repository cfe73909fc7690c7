# SPDX-License-Identifier: Apache-2.0
"""Room for many big values: each one holds a file descriptor, and many systems allow only 1,024 by default."""

from __future__ import annotations

import contextlib
import errno
import logging
import struct
from collections.abc import Iterable, Iterator

from flamepy.errors import FlameError, FlameErrorCode

WANTED_DESCRIPTORS = 65_536  # results of a big map; the kernel spends about 1 KB on each one in use, none on the limit
NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})  # errors of who needs one more than may be open

_log = logging.getLogger(__name__)


def raise_descriptor_limit() -> int:
    """Raise this process's limit of open files as far as it may, up to WANTED_DESCRIPTORS; returns the limit.

    Called once where an engine starts; its workers inherit it. The low default exists for programs that call
    ``select()`` with descriptors above 1,023; those that do would fail before as well, when they ran out of
    descriptors.
    """
    import resource  # here, because Windows lacks it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = WANTED_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, WANTED_DESCRIPTORS)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (ValueError, OSError) as error:  # macOS has a ceiling of its own below the hard limit
        _log.debug("descriptor limit stays soft=%d wanted=%d error=%s", soft, wanted, error)
        return soft
    return wanted


def received_descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> list[int]:
    """The descriptors that came with a message, in the order in which they were sent.

    There are fewer than were sent, and ``MSG_CTRUNC`` is set, when this process may not have that many open.
    """
    fds: list[int] = []
    for _, _, data in ancillary:
        fds.extend(struct.unpack(f"{len(data) // 4}i", data[: len(data) // 4 * 4]))
    return fds


def lacks_descriptors(error: BaseException) -> bool:
    """Is it the error of a process that has as many files open as it may?"""
    return isinstance(error, OSError) and error.errno in NO_DESCRIPTORS


def too_few_descriptors(what: str) -> FlameError:
    """The error of a process that has as many files open as it may. what: what cannot be done because of it."""
    allowed = ""
    with contextlib.suppress(ImportError, OSError):  # where it was not imported before, that needs a file itself
        import resource  # here, because Windows lacks it

        allowed = f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]} are allowed; "
    return FlameError(
        FlameErrorCode.INTERNAL,
        f"{what}: this process has too many open files ({allowed}each big value is one). "
        "Drop results that are no longer needed, close files and sockets, or raise the limit with 'ulimit -n'.",
    )


@contextlib.contextmanager
def descriptors_needed(what: str) -> Iterator[None]:
    """Raises FlameError in place of an OSError that says that no file more may be open. what: what cannot be done."""
    try:
        yield
    except OSError as error:
        if not lacks_descriptors(error):
            raise
        raise too_few_descriptors(what) from error
