# SPDX-License-Identifier: Apache-2.0
"""Decisions of the embedded engine, without effects: where a call goes, who has to leave, whom a death has hit.

The functions read records and return a choice; the loop acts on it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from flamepy.engine.local.fast_parts import AHEAD_S
from flamepy.engine.local.records import SessionRecord, WorkerRecord

AHEAD_CALLS = 256  # handed to a busy worker ahead of time, at most: more would not make the next packet cheaper
PACKET_CALLS = 64  # small calls that share a packet: by then what a packet costs is spread thin
# A call that takes longer than this, and than twice what was expected, holds up what is queued behind it.
OVERDUE_S = 0.002
START_FAILURES = 3  # in a row, of a worker before its first call, or of the zygote: it cannot start


@dataclass(frozen=True)
class StartWorker:
    """There is no worker to take the call, and room for a new one."""


@dataclass(frozen=True)
class Evict:
    """An idle worker of another application stands in the way: it leaves, a new one comes."""

    worker: WorkerRecord


Placement = WorkerRecord | StartWorker | Evict | None


def place(
    session: SessionRecord, workers: Iterable[WorkerRecord], *, limit: int, ahead_s: float = AHEAD_S
) -> Placement:
    """Choose for the next call of a stateless session; None = nowhere now.

    workers: of the pool, all applications. An idle worker that has the code comes first, then any idle one, then a
    new one, then the least busy one as long as its backlog is expected to be short.
    """
    idle: WorkerRecord | None = None
    other_application: WorkerRecord | None = None
    busy: WorkerRecord | None = None
    busy_s = ahead_s
    counted = serving = 0
    is_bounded = session.spec.max_instances is not None
    for worker in workers:
        if worker.is_leaving or worker.is_waiting:
            continue
        counted += 1
        if worker.installed is not session.installed:
            if not worker.in_flight and (
                other_application is None or worker.idle_since_s < other_application.idle_since_s
            ):
                other_application = worker
            continue
        serves = is_bounded and any(other is session for other in worker.sessions_in_flight())
        serving += serves
        if not worker.in_flight:
            if idle is None or session.number in worker.known:
                idle = worker
        elif len(worker.in_flight) < AHEAD_CALLS and (serves or not is_bounded):
            backlog_s = worker.backlog_s()
            if backlog_s < busy_s:
                busy, busy_s = worker, backlog_s
    if session.spec.max_instances is None or serving < session.spec.max_instances:
        if idle is not None:
            return idle
        if counted < limit:
            return StartWorker()
        if other_application is not None:
            return Evict(other_application)
    # an unknown duration may be a long one: nothing is queued behind it
    return busy if session.expected_s is not None else None


def batch(
    session: SessionRecord,
    worker: WorkerRecord,
    workers: Collection[WorkerRecord],
    *,
    limit: int,
    ahead_s: float = AHEAD_S,
) -> int:
    """How many of the session's waiting calls ``worker`` gets at once: its fair share, as far as it is short work."""
    room = min(PACKET_CALLS, AHEAD_CALLS - len(worker.in_flight))
    if session.spec.is_stateful:
        return room if ahead_s else int(not worker.in_flight)
    expected_s = session.expected_s
    if expected_s is None or len(workers) < limit:  # others are to be started first
        return 1
    candidates = [other for other in workers if other.installed is session.installed and not other.is_leaving]
    if session.spec.max_instances is not None:
        candidates = candidates[: session.spec.max_instances]
    total = len(session.waiting) + sum(len(other.in_flight) for other in candidates)
    share = -(-total // max(1, len(candidates))) - len(worker.in_flight)
    short = int((ahead_s - worker.backlog_s()) / max(expected_s, 1e-6))
    return max(1, min(share, room, short))


def is_uneven(workers: Collection[WorkerRecord]) -> bool:
    """Is one idle while another has calls waiting that it could run?"""
    idle = {worker.installed for worker in workers if not worker.in_flight and not worker.is_leaving}
    return bool(idle) and any(worker.installed in idle and _has_movable(worker) for worker in workers)


def _has_movable(worker: WorkerRecord) -> bool:
    """Does a call wait behind the one that runs, of a session that may use several workers?"""
    return len(worker.in_flight) > 1 and worker.in_flight[-1].session.spec.max_instances is None


def overdue(idle: WorkerRecord, workers: Iterable[WorkerRecord], *, now_s: float) -> WorkerRecord | None:
    """The worker whose backlog ``idle`` could take over: its running call takes longer than was expected."""

    def is_overdue(worker: WorkerRecord) -> bool:
        expected_s = worker.in_flight[0].expected_s or 0.0
        return now_s - worker.head_since_s > max(OVERDUE_S, 2 * expected_s)

    candidates = [
        worker
        for worker in workers
        if worker is not idle and worker.installed is idle.installed and _has_movable(worker) and is_overdue(worker)
    ]
    return max(candidates, key=lambda worker: len(worker.in_flight), default=None)


def to_retire(workers: Iterable[WorkerRecord], *, now_s: float, keep_warm_s: float) -> list[WorkerRecord]:
    """Workers of the pool that have been idle for too long; the one that was used last stays as a spare."""
    idle = sorted(
        (worker for worker in workers if not worker.in_flight and not worker.is_leaving and not worker.is_waiting),
        key=lambda worker: worker.idle_since_s,
    )
    return [worker for worker in idle[:-1] if now_s - worker.idle_since_s >= keep_warm_s]
