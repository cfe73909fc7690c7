# SPDX-License-Identifier: Apache-2.0
"""Decisions of the embedded engine: where a call goes, who retires, whom a death has hit. No process is started."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest

from flamepy.cache.blob import Blob
from flamepy.core.application import Application, ApplicationState
from flamepy.engine.api import SessionSpec
from flamepy.engine.completion import Completion
from flamepy.engine.local import schedule
from flamepy.engine.local.apps.registry import Installed
from flamepy.engine.local.completion import LocalCompletion
from flamepy.engine.local.fast_parts import AHEAD_S
from flamepy.engine.local.link.worker_link import WorkerLink
from flamepy.engine.local.records import CallRecord, SessionRecord, WorkerRecord, split_at
from flamepy.protocol.commands import ImportPath


class Desk:
    """Makes records: an application, its sessions, workers with calls in flight."""

    def __init__(self) -> None:
        self._numbers = iter(range(1, 10_000))
        self._links: list[WorkerLink] = []

    def application(self, name: str = "app") -> Installed:
        now = datetime.now(timezone.utc)
        return Installed(Application(id=name, name=name, state=ApplicationState.ENABLED, creation_time=now), None)

    def session(
        self, installed: Installed, *, max_instances: int | None = None, expected_s: float | None = None
    ) -> SessionRecord:
        number = next(self._numbers)
        spec = SessionSpec(installed.name, max_instances=max_instances)
        session = SessionRecord(number, f"session-{number}", spec, installed, Blob((0,)), ImportPath((), ()))
        session.expected_s = expected_s
        return session

    def call(self, session: SessionRecord) -> CallRecord:
        number = next(self._numbers)
        record = CallRecord(
            LocalCompletion(session.id, str(number), "", Completion.block), session, Blob((0,)), [], 0, None
        )
        record.number = number
        return record

    def worker(self, installed: Installed, *sessions: SessionRecord, idle_since_s: float = 0.0) -> WorkerRecord:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with tempfile.TemporaryFile() as output:
            link = WorkerLink(ours, theirs, os.dup(output.fileno()))
        self._links.append(link)
        worker = WorkerRecord(next(self._numbers), 0, installed, link, None)
        worker.idle_since_s = idle_since_s
        for session in sessions:
            worker.add(self.call(session))
            worker.known.add(session.number)
        return worker

    def close(self) -> None:
        for link in self._links:
            link.close()


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.close()


def test_an_idle_worker_that_has_the_code_comes_first(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app)
    other_application, knower = desk.worker(app), desk.worker(app)
    knower.known.add(session.number)
    assert schedule.place(session, [other_application, knower], limit=4) is knower
    assert schedule.place(session, [knower, other_application], limit=4) is knower


def test_a_new_worker_is_started_while_there_is_room(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.0001)
    busy = desk.worker(app, session)
    assert isinstance(schedule.place(session, [busy], limit=2), schedule.StartWorker)


def test_short_calls_queue_at_busy_workers_up_to_a_few_milliseconds_of_work(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.001)
    worker = desk.worker(app)
    placed = 0
    while schedule.place(session, [worker], limit=1) is worker:
        worker.add(desk.call(session))
        placed += 1
    assert placed == round(AHEAD_S / 0.001)


@pytest.mark.parametrize("expected_s", [None, 0.3])
def test_nothing_queues_behind_a_call_that_may_be_long(desk: Desk, expected_s: float | None) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=expected_s)
    assert schedule.place(session, [desk.worker(app, session)], limit=1) is None


def test_a_batch_of_slow_calls_does_not_delay_another_session(desk: Desk) -> None:
    app = desk.application()
    slow, quick = desk.session(app, expected_s=0.3), desk.session(app, expected_s=0.001)
    assert schedule.place(quick, [desk.worker(app, slow)], limit=1) is None


def test_an_idle_worker_of_another_application_makes_room(desk: Desk) -> None:
    app, other = desk.application(), desk.application("other")
    older, newer = desk.worker(other, idle_since_s=1.0), desk.worker(other, idle_since_s=2.0)
    placement = schedule.place(desk.session(app), [newer, older], limit=2)
    assert isinstance(placement, schedule.Evict)
    assert placement.worker is older


def test_busy_workers_of_another_application_are_left_alone(desk: Desk) -> None:
    app, other = desk.application(), desk.application("other")
    busy = desk.worker(other, desk.session(other))
    assert schedule.place(desk.session(app), [busy], limit=1) is None


def test_a_session_with_one_instance_uses_one_worker_at_a_time(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, max_instances=1, expected_s=0.001)
    serving, idle = desk.worker(app, session), desk.worker(app)
    assert schedule.place(session, [serving, idle], limit=4) is serving


def test_workers_that_leave_or_wait_get_nothing_and_do_not_count(desk: Desk) -> None:
    app = desk.application()
    leaving, waiting = desk.worker(app), desk.worker(app)
    leaving.is_leaving = waiting.is_waiting = True
    assert isinstance(schedule.place(desk.session(app), [leaving, waiting], limit=1), schedule.StartWorker)


def test_the_longest_backlog_behind_an_overdue_call_is_taken_over(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.001)
    idle, short, long = desk.worker(app), desk.worker(app, *[session] * 2), desk.worker(app, *[session] * 5)
    alone, fresh = desk.worker(app, session), desk.worker(app, *[session] * 9)
    fresh.head_since_s = 99.999
    assert schedule.overdue(idle, [idle, short, long, alone, fresh], now_s=100.0) is long
    assert schedule.overdue(idle, [idle, alone, fresh], now_s=100.0) is None


def test_a_call_that_takes_no_longer_than_expected_holds_up_nobody(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.006)
    idle, busy = desk.worker(app), desk.worker(app, *[session] * 2)
    busy.head_since_s = 100.0
    assert schedule.overdue(idle, [idle, busy], now_s=100.011) is None
    assert schedule.overdue(idle, [idle, busy], now_s=100.013) is busy


def test_work_is_uneven_when_an_idle_worker_could_take_over(desk: Desk) -> None:
    app, other = desk.application(), desk.application("other")
    busy = desk.worker(app, *[desk.session(app)] * 2)
    assert schedule.is_uneven([busy, desk.worker(app)])
    assert not schedule.is_uneven([busy, desk.worker(other)])
    assert not schedule.is_uneven([busy, desk.worker(app, desk.session(app))])
    assert not schedule.is_uneven([desk.worker(app, *[desk.session(app, max_instances=1)] * 2), desk.worker(app)])


def test_idle_workers_retire_but_the_last_one_used_stays_as_a_spare(desk: Desk) -> None:
    app = desk.application()
    first, second, third = (desk.worker(app, idle_since_s=at) for at in (10.0, 20.0, 30.0))
    busy = desk.worker(app, desk.session(app))
    assert schedule.to_retire([third, first, busy, second], now_s=75.0, keep_warm_s=60.0) == [first]
    assert schedule.to_retire([third, first, second], now_s=1000.0, keep_warm_s=60.0) == [first, second]


def test_small_calls_share_a_packet_and_workers_share_the_calls(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.00001)
    session.waiting.extend(desk.call(session) for _ in range(30))
    workers = [desk.worker(app), desk.worker(app, *[session] * 10)]
    assert schedule.batch(session, workers[0], workers, limit=2) == 20
    session.waiting.extend(desk.call(session) for _ in range(1_000))
    assert schedule.batch(session, workers[0], workers, limit=2) == schedule.PACKET_CALLS


def test_a_packet_holds_no_more_than_a_few_milliseconds_of_work(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.002)
    session.waiting.extend(desk.call(session) for _ in range(30))
    worker = desk.worker(app, session)
    assert schedule.batch(session, worker, [worker], limit=1) == 3


@pytest.mark.parametrize("expected_s", [None, 0.3])
def test_a_call_that_may_be_long_shares_its_packet_with_none(desk: Desk, expected_s: float | None) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=expected_s)
    session.waiting.extend(desk.call(session) for _ in range(30))
    worker = desk.worker(app)
    assert schedule.batch(session, worker, [worker], limit=1) == 1


def test_no_calls_queue_up_while_another_worker_may_be_started(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.00001)
    session.waiting.extend(desk.call(session) for _ in range(30))
    worker = desk.worker(app)
    assert schedule.batch(session, worker, [worker], limit=2) == 1


def test_a_worker_that_is_full_of_calls_gets_no_more(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.00001)
    worker = desk.worker(app, *[session] * (schedule.AHEAD_CALLS - 1))
    session.waiting.extend(desk.call(session) for _ in range(30))
    assert schedule.batch(session, worker, [worker], limit=1) == 1
    worker.add(desk.call(session))
    assert schedule.place(session, [worker], limit=1) is None


def test_without_work_ahead_each_call_waits_until_a_worker_is_idle(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.00001)
    session.waiting.extend(desk.call(session) for _ in range(30))
    idle, busy = desk.worker(app), desk.worker(app, session)
    assert schedule.batch(session, idle, [idle, busy], limit=2, ahead_s=0.0) == 1
    assert schedule.place(session, [busy], limit=1, ahead_s=0.0) is None


def test_what_a_worker_has_begun_is_told_from_what_can_run_elsewhere(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app)
    calls = [desk.call(session) for _ in range(3)]
    assert split_at(calls, calls[0].number) == (calls[:1], calls[1:])
    assert split_at(calls, calls[1].number) == (calls[:2], calls[2:])  # the first was answered, but not read
    assert split_at(calls, 0) == ([], calls)
    assert split_at([], 7) == ([], [])


def test_a_call_that_was_taken_back_tells_what_the_worker_has_done_before_it(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app)
    answered, taken_back, sent_again = (desk.call(session) for _ in range(3))
    assert split_at([answered, sent_again], taken_back.number) == ([answered], [sent_again])


def test_calls_that_are_taken_back_are_no_backlog_any_more(desk: Desk) -> None:
    app = desk.application()
    session = desk.session(app, expected_s=0.001)
    worker = desk.worker(app, *[session] * 4)
    running, *others = worker.in_flight
    assert worker.take_back(running.number) == others
    assert list(worker.in_flight) == [running]
    assert worker.backlog_s() == pytest.approx(0.001)
    assert [record.worker for record in others] == [None] * 3


def test_one_slow_outlier_does_not_make_a_session_look_slow(desk: Desk) -> None:
    session = desk.session(desk.application())
    for duration_s in [0.001] * 5 + [0.02] + [0.001] * 2:
        session.learn_duration(duration_s)
    assert session.expected_s is not None
    assert session.expected_s < 0.002
