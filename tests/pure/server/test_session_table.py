# SPDX-License-Identifier: Apache-2.0
"""The rules of sessions and tasks of the server, on its tables alone."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from flamepy.core.application import ApplicationAttributes
from flamepy.core.task import Task, TaskState
from flamepy.errors import FlameError, FlameErrorCode
from flamepy.server.application_table import ApplicationTable
from flamepy.server.session_table import BIND_FAILED, BIND_GIVEN_UP, SessionTable
from flamepy.wire import messages

NOW = datetime(2026, 11, 28, 12, tzinfo=timezone.utc)


class Heard:
    """Watchers that note what they are told."""

    def __init__(self) -> None:
        self.states: list[tuple[str, TaskState]] = []
        self.gone: list[str] = []

    def changed(self, task: Task) -> None:
        self.states.append((task.id, task.state))

    def removed(self, session_id: str) -> None:
        self.gone.append(session_id)


class Tables:
    def __init__(self) -> None:
        self.heard = Heard()
        self.applications = ApplicationTable(lambda: NOW, lambda name: self.sessions.has_open(name))
        self.sessions = SessionTable(lambda: NOW, lambda name: self.applications.get(name).generation, self.heard)

    def submit(self, session_id: str, text: bytes = b"") -> Task:
        return self.sessions.create_task(messages.TaskSpec(session_id=session_id, input=text))


@pytest.fixture
def tables() -> Tables:
    tables = Tables()
    tables.applications.register("app", ApplicationAttributes(command="run"))
    tables.sessions.create("s", spec())
    return tables


def spec(application: str = "app", **fields: object) -> messages.SessionSpec:
    return messages.SessionSpec(application=application, **fields)  # type: ignore[arg-type]


def refused(code: FlameErrorCode, words: str) -> pytest.RaisesExc[FlameError]:
    return pytest.RaisesExc(FlameError, match=words, check=lambda error: error.code is code)


def test_tasks_start_in_the_order_of_their_ids_and_watchers_hear_each_step(tables: Tables) -> None:
    record = tables.sessions.get("s")
    assert [tables.submit("s").id for _ in range(3)] == ["1", "2", "3"]
    first, second = tables.sessions.start_next(record), tables.sessions.start_next(record)
    assert first is not None
    assert second is not None
    tables.sessions.end_task(record, second.id, TaskState.SUCCEED, output=b"2", message=None)
    tables.sessions.end_task(record, first.id, TaskState.FAILED, output=None, message="")
    assert tables.heard.states == [
        ("1", TaskState.RUNNING), ("2", TaskState.RUNNING), ("2", TaskState.SUCCEED), ("1", TaskState.FAILED),
    ]  # fmt: skip
    view = record.view(with_events=True)
    assert (view.pending, view.running, view.succeed, view.failed) == (1, 0, 1, 1)
    events = [(event.code, event.message) for event in tables.sessions.task("s", "1").events]
    assert events == [
        (0, "Task was created with state <Pending>"), (1, "Task state was updated to <Running>"), (3, ""),
    ]  # fmt: skip


def test_closing_cancels_what_waits_and_refuses_while_something_runs(tables: Tables) -> None:
    record = tables.sessions.get("s")
    tables.submit("s"), tables.submit("s")
    running = tables.sessions.start_next(record)
    assert running is not None
    with refused(FlameErrorCode.INTERNAL, "Cannot close session with running tasks"):
        tables.sessions.close("s")
    tables.sessions.end_task(record, running.id, TaskState.SUCCEED, output=None, message=None)
    assert tables.sessions.close("s").view(with_events=False).cancelled == 1
    assert tables.heard.states[-1] == ("2", TaskState.CANCELLED)
    assert [event.code for event in tables.sessions.task("s", "2").events] == [0]
    assert tables.sessions.close("s").state == record.state
    with refused(FlameErrorCode.INVALID_ARGUMENT, "Cannot create task in closed session"):
        tables.submit("s")
    with refused(FlameErrorCode.INVALID_ARGUMENT, "is not open"):
        tables.sessions.open("s", spec())


def test_a_session_is_created_once_and_opened_with_the_same_specification(tables: Tables) -> None:
    with refused(FlameErrorCode.ALREADY_EXISTS, "Session 's' already exists"):
        tables.sessions.create("s", spec())
    with refused(FlameErrorCode.NOT_FOUND, "Application other not found"):
        tables.sessions.create("t", spec("other"))
    with refused(FlameErrorCode.NOT_FOUND, "Session t not found"):
        tables.sessions.open("t", None)
    with refused(FlameErrorCode.INVALID_ARGUMENT, r"spec mismatch: max_instances differs \(expected None, got 2\)"):
        tables.sessions.open("s", spec(max_instances=2))
    with refused(FlameErrorCode.INVALID_ARGUMENT, r"max_instances \(3\) must be a multiple of batch_size \(2\)"):
        tables.sessions.create("t", spec(batch_size=2, max_instances=3))
    joined = tables.sessions.open("s", spec(common_data=b"other"))
    assert joined is tables.sessions.open("s", None)
    assert (joined.spec.resreq.cpu, joined.spec.resreq.memory, joined.spec.batch_size) == (1, 1 << 30, 1)


def test_an_application_goes_with_its_closed_sessions_and_not_before(tables: Tables) -> None:
    with refused(FlameErrorCode.ALREADY_EXISTS, "Application 'app' already exists"):
        tables.applications.register("app", ApplicationAttributes())
    with refused(FlameErrorCode.INVALID_ARGUMENT, "Cannot unregister application 'app': has open sessions"):
        tables.applications.unregister("app")
    with refused(FlameErrorCode.INVALID_ARGUMENT, "Cannot update application 'app': has open sessions"):
        tables.applications.update("app", ApplicationAttributes())
    tables.sessions.close("s")
    tables.applications.unregister("app")
    tables.sessions.remove_of("app")
    assert tables.heard.gone == ["s"]
    with refused(FlameErrorCode.NOT_FOUND, "^s$"):
        tables.sessions.get("s")
    with refused(FlameErrorCode.NOT_FOUND, "Failed to delete application 'app'"):
        tables.applications.unregister("app")


def test_an_update_brings_back_the_defaults_of_what_it_does_not_give(tables: Tables) -> None:
    tables.sessions.close("s")
    before = tables.applications.get("app")
    tables.applications.update("app", ApplicationAttributes(description="new"))
    after = tables.applications.get("app")
    assert (after.application.description, after.application.command) == ("new", None)
    assert after.generation != before.generation


def test_after_five_failures_in_a_row_no_worker_is_started_any_more(tables: Tables) -> None:
    record = tables.sessions.get("s")
    for _ in range(5):
        assert not record.is_given_up()
        tables.sessions.bind_failed(record, "x", "here", 11, "no such file")
    assert record.is_given_up()
    assert [event.code for event in record.events] == [*[BIND_FAILED] * 5, BIND_GIVEN_UP]
    assert (
        record.events[0].message == "Executor x on node here failed to bind session with return_code 11: no such file"
    )
