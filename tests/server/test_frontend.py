# SPDX-License-Identifier: Apache-2.0
"""What a client of the server sees: applications, sessions and tasks over gRPC."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamepy.wire.messages import TaskState
from flamepy.wire.methods import FRONTEND
from tests.server.running import RunningServer, message_of, name_of, text
from tests.signs import BOUND_S, reached


def test_a_task_runs_and_its_watch_tells_each_state_with_its_events(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive), common_data=b"in common")
    task_id = server.submit(session, "echo one")
    states = list(server.watch(session, task_id))
    assert [each.status.state for each in states] in ([1, 2], [2])
    assert text(states[-1]) == "echo one in common"
    assert [event.code for event in states[-1].status.events] == [0, 1, 2]
    again = list(server.watch(session, task_id))
    assert again == [states[-1]] == [server.call("GetTask", session_id=session, task_id=task_id)]
    assert states[-1].status.completion_time >= states[-1].status.creation_time > 1_700_000_000_000


def test_why_a_task_failed_is_in_its_watch_and_the_worker_goes_on(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive))
    task = server.run(session, "fail for a reason")
    assert (task.status.state, message_of(task)) == (TaskState.Failed, "for a reason")
    assert "decoded message length too large" in message_of(server.run(session, "bytes 5000000"))
    assert len(server.run(session, "bytes 4000000").spec.output) == 4_000_000
    assert (server.status(session).failed, server.status(session).succeed) == (2, 1)


def test_a_session_in_which_a_task_runs_cannot_be_closed(server: RunningServer, archive: Path, tmp_path: Path) -> None:
    session = server.session(server.register(archive))
    gate = tmp_path / "gate"
    task_id = server.submit(session, f"until {gate}")
    assert reached(lambda: server.status(session).running == 1)
    assert server.refusal("CloseSession", session_id=session) == ("INTERNAL", "Cannot close session with running tasks")
    gate.touch()
    assert server.ended(session, task_id).status.state == TaskState.Succeed
    assert server.call("CloseSession", session_id=session).status.state == 1
    assert server.refusal("OpenSession", session_id=session) == (
        "INVALID_ARGUMENT",
        f"Session {session} is not open: use another id.",
    )


@pytest.mark.parametrize(
    ("name", "fields", "code", "words"),
    [
        ("GetApplication", {"name": "none"}, "NOT_FOUND", "Application none not found"),
        ("RegisterApplication", {"name": "x"}, "INVALID_ARGUMENT", "applilcation spec is missed"),
        ("CreateSession", {"session_id": "x"}, "INVALID_ARGUMENT", "session spec"),
        ("CreateSession", {"session_id": "x", "session": {"application": "none"}}, "NOT_FOUND", "none not found"),
        ("OpenSession", {"session_id": "x"}, "NOT_FOUND", "not found"),
        ("CloseSession", {"session_id": "x"}, "NOT_FOUND", "session <x>"),
        ("GetSession", {"session_id": "x"}, "NOT_FOUND", "x"),
        ("CreateTask", {"task": {"session_id": "x"}}, "NOT_FOUND", "Session x not found"),
        ("GetTask", {"session_id": "x", "task_id": "one"}, "INVALID_ARGUMENT", "invalid task id"),
        ("WatchTask", {"session_id": "x", "task_id": "1"}, "NOT_FOUND", "x"),
        ("ListTask", {"session_id": "x"}, "NOT_FOUND", "x"),
        ("GetNode", {"name": "x"}, "NOT_FOUND", "node <x> not found"),
        ("CreateTask", {"task": {"input": bytes(5 << 20)}}, "OUT_OF_RANGE", "the limit is: 4194304 bytes"),
    ],
)
def test_what_is_refused_has_the_code_and_the_words_of_a_cluster(
    server: RunningServer, name: str, fields: dict[str, object], code: str, words: str
) -> None:
    got = server.refusal(name, **fields)
    assert got[0] == code
    assert words in got[1]


def test_what_an_application_cannot_be_is_an_answer_with_a_code(server: RunningServer, archive: Path) -> None:
    application = server.register(archive)
    for fields in ({"name": application, "application": {}}, {"name": "../x", "application": {}}):
        result = server.call("RegisterApplication", **fields)
        assert result.return_code == -1
        assert result.message
    server.session(application)
    assert "has open sessions" in server.call("UnregisterApplication", name=application).message


def test_the_template_of_runners_is_there_as_on_a_cluster(server: RunningServer) -> None:
    template = server.call("GetApplication", name="flmrun")
    assert (template.spec.command, template.spec.installer) == ("${FLAME_HOME}/bin/uv", "python")
    assert (template.spec.max_instances, template.spec.delay_release) == (1_000_000, 60)
    assert "flmrun" in map(name_of, server.call("ListApplication").applications)


def test_closing_cancels_what_waits_and_tells_its_watches(server: RunningServer, archive: Path) -> None:
    application = server.register(archive, "silent")
    session = server.session(application)
    task_id = server.submit(session, "echo never")
    watch = server.watch(session, task_id)
    assert server.call("CloseSession", session_id=session).status.cancelled == 1
    assert [each.status.state for each in watch] == [TaskState.Cancelled]
    assert reached(lambda: all(each.status.session_id != session for each in server.call("ListExecutor").executors))
    assert server.call("UnregisterApplication", name=application).return_code == 0
    assert server.refusal("GetSession", session_id=session)[0] == "NOT_FOUND"


def test_many_tasks_end_each_with_its_own_result(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive))
    ids = [server.submit(session, f"echo {number}") for number in range(100)]
    watches = [server.watch(session, task_id) for task_id in ids]
    assert [text(list(watch)[-1]) for watch in watches] == [f"echo {number} " for number in range(100)]
    listed = server.call("ListTask", session_id=session)
    assert [name_of(task) for task in listed] == ids
    assert server.status(session).succeed == 100


def test_thousands_of_calls_at_once_are_all_answered(server: RunningServer) -> None:
    """More than gRPC lets wait by default: it cancels some, at random."""
    method = FRONTEND["GetNode"]
    call = server.channel.unary_unary(method.path, request_serializer=lambda message: message.SerializeToString())
    name = name_of(server.call("ListNodes").nodes[0])
    answers = [call.future(method.request(name=name), timeout=BOUND_S) for _ in range(2000)]
    assert all(answer.result() for answer in answers)


def test_programs_see_the_machine_and_its_executors(server: RunningServer, archive: Path) -> None:
    (node,) = server.call("ListNodes").nodes
    assert server.call("GetNode", name=name_of(node)).node == node
    assert (node.status.state, node.status.allocatable.cpu) == (1, 2)
    session = server.session(server.register(archive))
    server.run(session, "echo")
    executors = [each for each in server.call("ListExecutor").executors if each.status.session_id == session]
    assert [(each.spec.node, each.status.state) for each in executors] == [(name_of(node), 4)]
