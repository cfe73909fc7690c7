# SPDX-License-Identifier: Apache-2.0
"""What a client and a cluster of release 0.6 said to each other, byte by byte, is read and written by ours.

recorded.json holds messages of recorded conversations, in hexadecimal digits, under the names of their types.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from flamepy import FlameError
from flamepy.core.application import Application, ApplicationAttributes, ApplicationSchema, ApplicationState, Shim
from flamepy.core.resources import ResourceRequirement
from flamepy.core.session import Event, SessionAttributes, SessionState, SessionView
from flamepy.core.task import Task, TaskState
from flamepy.wire import applications, messages, sessions, tasks
from flamepy.wire.methods import FRONTEND, INSTANCE

RECORDED: dict[str, list[str]] = json.loads(Path(__file__).with_name("recorded.json").read_text())
MOMENT = datetime(2026, 11, 27, 5, 57, 27, tzinfo=timezone.utc)


def read(kind: str) -> list[Any]:
    return [getattr(messages, kind).FromString(bytes.fromhex(each)) for each in RECORDED[kind]]


@pytest.mark.parametrize("kind", RECORDED)
def test_every_message_is_read_without_rest_and_written_as_it_was(kind: str) -> None:
    for message, digits in zip(read(kind), RECORDED[kind], strict=True):
        message.DiscardUnknownFields()
        assert message.SerializeToString(deterministic=True).hex() == digits


@pytest.mark.parametrize("message", read("Application"))
def test_an_application_says_the_same_after_it_was_a_record(message: Any) -> None:
    assert applications.message_of(applications.application_of(message)) == message


@pytest.mark.parametrize("message", read("RegisterApplicationRequest"))
def test_what_is_registered_says_the_same_after_it_was_a_record(message: Any) -> None:
    assert applications.specification(applications.attributes_of(message.application)) == message.application


@pytest.mark.parametrize("message", read("Session"))
def test_a_session_says_the_same_after_it_was_a_record(message: Any) -> None:
    assert sessions.message_of(sessions.view_of(message), message.spec) == message


@pytest.mark.parametrize("message", [each for each in read("OpenSessionRequest") if each.HasField("session")])
def test_what_a_session_is_opened_with_says_the_same_after_it_was_a_record(message: Any) -> None:
    attributes = sessions.attributes_of(message.session_id, message.session)
    assert sessions.specification(attributes) == message.session


@pytest.mark.parametrize("message", read("Task"))
def test_a_task_says_the_same_after_it_was_a_record(message: Any) -> None:
    assert tasks.message_of(tasks.task_of(message)) == message


def test_the_words_of_a_failure_are_those_of_the_event_of_its_failing() -> None:
    (failed,) = [each for each in map(tasks.task_of, read("Task")) if each.state is TaskState.FAILED]
    assert tasks.words_of_failure(failed) == next(each.message for each in failed.events if each.code == 3)
    assert tasks.words_of_failure(Task("1", "s", TaskState.FAILED, MOMENT, events=(Event(3, ""),))) == ""


@pytest.mark.parametrize(
    "application",
    [
        Application("a", "a", ApplicationState.ENABLED, MOMENT),
        Application(
            "id", "name", ApplicationState.DISABLED, MOMENT, Shim.WASM, "image", "described", ["l"], "command", ["-a"],
            {"K": "v", "E": ""}, "/tmp", 5, 7, ApplicationSchema("{}", None, "{}"), "file:///p.tar.gz", "binary",
        ),
    ],
    ids=["nothing said", "everything said"],
)  # fmt: skip
def test_every_field_of_an_application_travels(application: Application) -> None:
    assert applications.application_of(applications.message_of(application)) == application


def test_blank_texts_of_a_schema_stay_here_because_a_cluster_refuses_them() -> None:
    spec = applications.specification(ApplicationAttributes(schema=ApplicationSchema("", " ", "{}")))
    assert not spec.schema.HasField("input")
    assert not spec.schema.HasField("output")
    assert spec.schema.common_data == "{}"


@pytest.mark.parametrize(
    "attributes",
    [
        SessionAttributes("app", "id"),
        SessionAttributes("app", "id", b"", 0, 0, 1, ResourceRequirement()),
        SessionAttributes("app", "id", b"\0data", 2, 4, 2, ResourceRequirement(1, 1 << 40, 3)),
    ],
    ids=["nothing said", "nothing is said in words", "everything said"],
)
def test_every_field_of_what_a_session_is_opened_with_travels(attributes: SessionAttributes) -> None:
    assert sessions.attributes_of("id", sessions.specification(attributes)) == attributes


def test_every_field_of_a_session_travels() -> None:
    events = (Event(1001, "the executor failed", MOMENT), Event(1002))
    view = SessionView("id", "app", SessionState.CLOSED, MOMENT, MOMENT, 1, 2, 3, 4, 5, events)
    message = sessions.message_of(view, sessions.specification(SessionAttributes("app")))
    assert sessions.view_of(message) == view


def test_every_field_of_a_task_travels() -> None:
    for task in (
        Task("1", "s", TaskState.PENDING, MOMENT),
        Task("2", "s", TaskState.CANCELLED, MOMENT, b"", b"", MOMENT, (Event(0, "", MOMENT),)),
    ):
        assert tasks.task_of(tasks.message_of(task)) == task


@pytest.mark.parametrize("time_ms", [2**63 - 1, -(2**63)])
def test_a_time_that_no_clock_shows_is_the_nearest_that_there_is(time_ms: int) -> None:
    message = messages.Task(status=messages.TaskStatus(creation_time=time_ms))
    assert tasks.task_of(message).creation_time.year in (1, 9999)


def test_a_state_of_a_later_release_is_told_in_one_sentence() -> None:
    later = messages.Task(status=messages.TaskStatus.FromString(b"\x08\x09"))
    with pytest.raises(FlameError, match=r"^TaskState 9 came over the wire, .* Install"):
        tasks.task_of(later)


def test_the_calls_have_the_paths_of_the_cluster() -> None:
    assert FRONTEND["WatchTask"].path == "/flame.v1.Frontend/WatchTask"
    assert INSTANCE["OnTaskInvoke"].path == "/flame.v1.Instance/OnTaskInvoke"
    assert {name for name, each in {**FRONTEND, **INSTANCE}.items() if each.is_stream} == {"WatchTask", "ListTask"}
