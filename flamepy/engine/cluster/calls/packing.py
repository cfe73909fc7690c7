# SPDX-License-Identifier: Apache-2.0
"""How many calls share a task: a task costs some 10 ms, a small call less than one."""

from __future__ import annotations

PACKET_S = 0.1  # of work in one packet: no result waits longer for those that came before it
MOST_CALLS = 1000
MOST_BYTES = 3 * 1024 * 1024  # a cluster refuses requests of 4 MiB
IN_FLIGHT_PER_SLOT = 2  # one runs, one is on its way


def calls_for_packet(waiting: int, *, expected_s: float | None, slots: int) -> int:
    """Of the ``waiting`` calls of one service, how many go into the next packet.

    expected_s: how long one takes, None = no call has ended yet. slots: packets that run at one time.
    """
    if expected_s is None:
        return 1
    share = -(-waiting // max(1, slots))
    return max(1, min(share, MOST_CALLS, int(PACKET_S / max(expected_s, 1e-6))))


def fitting(sizes_bytes: list[int]) -> int:
    """How many of the calls of these sizes fit into one message; at least one."""
    total = 0
    for count, size_bytes in enumerate(sizes_bytes):
        total += size_bytes
        if total > MOST_BYTES and count:
            return count
    return len(sizes_bytes)
