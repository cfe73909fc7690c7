# SPDX-License-Identifier: Apache-2.0
"""Parents and children: a worker must not outlive its parent, and what a worker leaves has one."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel kill this process when its parent ends; leave at once when that has happened already.

    The signal fires when the *thread* that forked ends: safe only because the zygote has a single thread.
    The parent is compared with its known pid, never with 1: containers and systemd reparent elsewhere.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:
        os._exit(0)


def adopt_orphans() -> None:
    """Have the kernel make this process the parent of whatever its children leave behind, so that it can be waited for.

    Their parent would be the first process of the system, or of the container, which may never wait for them: then
    they look alive for ever.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
