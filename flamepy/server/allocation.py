# SPDX-License-Identifier: Apache-2.0
"""Which session gets a slot: decisions without effects, made anew whenever something has changed.

A slot that is free goes to the session of the highest priority that has the fewest executors, then to the oldest one.
When none is free, an idle executor of another session leaves for a session with pending tasks, at once; one between two
tasks leaves where that makes the shares more even.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """A session that wants executors.

    number: in the order of creation. tasks: how many pending and running ones it has. max_instances: None = no limit of
    its own. failures_left: how many attempts to start a worker may still fail; None = none has failed of late.
    """

    session_id: str
    number: int
    tasks: int
    pending: int
    min_instances: int = 0
    max_instances: int | None = None
    priority: int = 0
    failures_left: int | None = None

    def wanted(self) -> int:
        """How many executors it should have."""
        wanted = max(self.tasks, self.min_instances)
        return wanted if self.max_instances is None else min(wanted, self.max_instances)


@dataclass(frozen=True)
class Seat:
    """An executor. idle_since_s: None while it runs a task, starts or leaves. has_started: does its worker run?"""

    executor_id: str
    session_id: str
    idle_since_s: float | None = None
    is_leaving: bool = False
    has_started: bool = True


@dataclass(frozen=True)
class Bind:
    """A free slot goes to this session."""

    session_id: str


@dataclass(frozen=True)
class Release:
    """This executor leaves its session, so that its slot becomes free."""

    executor_id: str


def allocate(needs: Iterable[Need], seats: Iterable[Seat], *, slots: int) -> list[Bind | Release]:
    """What to do now. Every session that should have more executors gets its share, one at a time."""
    seats = list(seats)
    held = Counter(seat.session_id for seat in seats if not seat.is_leaving)
    starting = Counter(seat.session_id for seat in seats if not seat.has_started and not seat.is_leaving)
    free = slots - len(seats)
    becoming_free = sum(seat.is_leaving for seat in seats)
    by_id = {need.session_id: need for need in needs}
    idle = [seat for seat in seats if seat.idle_since_s is not None and not seat.is_leaving]
    idle_of = Counter(seat.session_id for seat in idle)
    decisions: list[Bind | Release] = []
    hungry = [need for need in by_id.values() if _is_hungry(need, held, starting)]
    while hungry:
        need = min(hungry, key=lambda each: (-each.priority, held[each.session_id], each.number))
        if free > 0:
            free -= 1
            decisions.append(Bind(need.session_id))
        elif becoming_free > 0:
            becoming_free -= 1
        else:
            waits = need.pending > idle_of[need.session_id] + starting[need.session_id]
            victim = _to_release(need, idle, by_id, held) if waits else None
            if victim is None:
                hungry.remove(need)
                continue
            idle.remove(victim)
            held[victim.session_id] -= 1
            decisions.append(Release(victim.executor_id))
        held[need.session_id] += 1
        starting[need.session_id] += 1
        if not _is_hungry(need, held, starting):
            hungry.remove(need)
    return decisions


def _is_hungry(need: Need, held: Counter[str], starting: Counter[str]) -> bool:
    if need.failures_left is not None and starting[need.session_id] >= need.failures_left:
        return False
    return held[need.session_id] < need.wanted()


def _to_release(need: Need, idle: Iterable[Seat], by_id: dict[str, Need], held: Counter[str]) -> Seat | None:
    """The executor that should make room for ``need``: of those with nothing to do, the one that has been idle longest.

    One that its session keeps ready without tasks comes second, one between two tasks last.
    """

    def rank(seat: Seat) -> tuple[int, float] | None:
        own = by_id.get(seat.session_id)
        since_s = seat.idle_since_s or 0.0
        if seat.session_id == need.session_id:
            return None
        if own is None:
            return 0, since_s
        if own.pending:
            is_fairer = held[seat.session_id] - held[need.session_id] >= 2
            return (2, since_s) if is_fairer and own.priority <= need.priority else None
        if held[seat.session_id] > own.min_instances:
            return 0, since_s
        return (1, since_s) if own.priority <= need.priority else None

    ranked = [(found, seat) for seat in idle if (found := rank(seat)) is not None]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None
