# SPDX-License-Identifier: Apache-2.0
"""What makes the embedded engine fast and could be left out: each part has a plain twin, and a row that it wins."""

from __future__ import annotations

from dataclasses import dataclass

# Work handed to a busy worker ahead of time: one switch interval of the caller's interpreter (5 ms), which is how
# long the engine's thread may have to wait for its iteration, and what the iteration itself takes.
AHEAD_S = 0.008


@dataclass(frozen=True)
class FastParts:
    """``python -m benchmarks.fast_parts`` measures each against its twin.

    has_waiters_lead: a thread that waits for a result runs the event loop itself (loop/leader_followers.py); the twin
    leaves that to the engine's thread alone. Row: round-trip.
    reuses_memory: memory of big values that were dropped takes new ones (cache/memfd_pool.py); in the twin each value
    has new memory. Row: result.
    ahead_s: a busy worker is handed this much work ahead, small calls several in a packet (schedule.py); in the twin
    (0) each call waits until a worker is idle. Rows: outstanding, busy-caller.
    """

    has_waiters_lead: bool = True
    reuses_memory: bool = True
    ahead_s: float = AHEAD_S


FAST = FastParts()
PLAIN = FastParts(has_waiters_lead=False, reuses_memory=False, ahead_s=0.0)
