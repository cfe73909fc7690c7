# SPDX-License-Identifier: Apache-2.0
"""The key of multiprocessing: with the caller's, proxies of its managers can be used in calls, as in its own pools."""

from __future__ import annotations


def take_authkey(authkey: bytes) -> None:
    """Use the key of the caller from now on."""
    import multiprocessing.process  # here, because few callers use it

    multiprocessing.process.current_process().authkey = authkey
