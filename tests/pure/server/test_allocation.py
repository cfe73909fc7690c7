# SPDX-License-Identifier: Apache-2.0
"""Which session gets a slot of the server: the rules, one by one."""

from __future__ import annotations

from flamepy.server.allocation import Bind, Need, Release, Seat, allocate


def need(session_id: str, pending: int, running: int = 0, *, number: int = 1, **fields: int | None) -> Need:
    return Need(session_id, number, pending + running, pending, **fields)  # type: ignore[arg-type]


def seats(session_id: str, count: int, *, idle_since_s: float | None = None) -> list[Seat]:
    return [Seat(f"{session_id}{number}", session_id, idle_since_s) for number in range(count)]


def test_a_session_gets_as_many_slots_as_it_has_tasks_and_no_more() -> None:
    assert allocate([need("a", 3)], [], slots=8) == [Bind("a")] * 3


def test_one_that_starts_counts() -> None:
    assert allocate([need("a", 1)], [Seat("a0", "a", has_started=False)], slots=8) == []


def test_a_session_never_gets_more_than_its_max_instances() -> None:
    assert allocate([need("a", 100, max_instances=1)], [], slots=8) == [Bind("a")]
    assert allocate([need("a", 100, 1, max_instances=1)], seats("a", 1), slots=8) == []


def test_a_session_gets_its_min_instances_without_a_task() -> None:
    assert allocate([need("a", 0, min_instances=2)], [], slots=8) == [Bind("a")] * 2


def test_sessions_that_wait_share_the_slots() -> None:
    decisions = allocate([need("a", 100, number=1), need("b", 100, number=2)], [], slots=4)
    assert decisions == [Bind("a"), Bind("b"), Bind("a"), Bind("b")]


def test_the_higher_priority_comes_first() -> None:
    assert allocate([need("a", 9), need("b", 1, number=2, priority=1)], [], slots=2) == [Bind("b"), Bind("a")]


def test_an_idle_executor_makes_room_at_once_for_a_session_that_waits() -> None:
    idle = [Seat("old", "b", 1.0), Seat("new", "b", 2.0)]
    assert allocate([need("a", 1)], idle, slots=2) == [Release("old")]


def test_one_that_leaves_is_enough_for_one_that_waits() -> None:
    leaving = [Seat("b0", "b", is_leaving=True), *seats("b", 1, idle_since_s=1.0)]
    assert allocate([need("a", 1)], leaving, slots=2) == []


def test_a_session_without_tasks_takes_no_executor_from_another() -> None:
    assert allocate([need("a", 0, min_instances=1)], seats("b", 1, idle_since_s=1.0), slots=1) == []


def test_executors_that_a_session_keeps_ready_are_the_last_to_be_taken() -> None:
    ready = need("b", 0, min_instances=1, number=2)
    held = [Seat("ready", "b", 1.0), Seat("superfluous", "c", 2.0)]
    assert allocate([need("a", 1), ready], held, slots=2) == [Release("superfluous")]
    assert allocate([need("a", 1), ready], held[:1], slots=1) == [Release("ready")]


def test_between_two_tasks_an_executor_leaves_where_that_makes_the_shares_more_even() -> None:
    busy = [*seats("a", 1), Seat("between", "a", 5.0)]
    newcomer = need("b", 1, number=2)
    assert allocate([need("a", 50, 1), newcomer], busy, slots=2) == [Release("between")]
    assert allocate([need("a", 50), newcomer], [Seat("between", "a", 5.0)], slots=1) == []


def test_after_failures_no_more_are_started_than_may_still_fail() -> None:
    assert allocate([need("a", 100, failures_left=2)], [], slots=8) == [Bind("a")] * 2
