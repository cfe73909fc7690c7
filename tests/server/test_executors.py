# SPDX-License-Identifier: Apache-2.0
"""How the server starts workers, shares its slots, and what it says of workers that fail."""

from __future__ import annotations

import http.server
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from flamepy.wire.messages import TaskState
from tests.server.running import RunningServer, message_of, text
from tests.signs import BOUND_S, reached


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def noting(log: Path) -> dict[str, object]:
    return {"environments": [{"name": "WORKER_LOG", "value": str(log)}]}


def lines(log: Path) -> list[list[str]]:
    return [line.split(" ", 2) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_worker_serves_one_session_its_tasks_one_by_one_and_is_told_of_its_end(
    server: RunningServer, archive: Path, log: Path
) -> None:
    application = server.register(archive, **noting(log))
    for session in (server.session(application, max_instances=1), server.session(application, max_instances=1)):
        ids = [server.submit(session, "echo") for _ in range(3)]  # while two slots are free
        assert [server.ended(session, each).status.state for each in ids] == [TaskState.Succeed] * 3
        server.call("CloseSession", session_id=session)
        assert reached(lambda session=session: [session, "leave"] in [[a, c] for a, _, c in lines(log)])  # type: ignore[misc]
        own = [(pid, what) for each, pid, what in lines(log) if each == session]
        assert [what for _, what in own] == ["enter", "task 1", "task 2", "task 3", "leave"]
        assert len({pid for pid, _ in own}) == 1
    assert len({pid for _, pid, _ in lines(log)}) == 2


def test_a_worker_finds_its_package_its_server_and_a_place_of_its_own(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive, "--home=${FLAME_HOME}", "$UNKNOWN"))
    found = json.loads(server.run(session, "where").spec.output)
    assert found["FLAME_ENDPOINT"] == server.endpoint
    assert found["FLAME_CACHE_ENDPOINT"] == server.cache_endpoint
    assert found["argv"][1:] == [f"--home={found['FLAME_HOME']}", "$UNKNOWN"]
    assert found["FLAME_APP_DIR"].startswith(str(server.temporary))
    assert found["TMPDIR"].startswith(found["cwd"])
    assert len(os.fsencode(found["FLAME_INSTANCE_ENDPOINT"])) < 104


def test_a_session_that_waits_is_given_the_idle_executor_of_another_at_once(
    server: RunningServer, archive: Path
) -> None:
    """All slots are taken by sessions with nothing to do, which keep their workers for a minute."""
    application = server.register(archive, delay_release=60)
    for _ in range(3):
        assert text(server.run(server.session(application), "echo here")) == "echo here "


def test_a_long_queue_does_not_keep_a_newcomer_out(server: RunningServer, archive: Path, tmp_path: Path) -> None:
    application = server.register(archive)
    first = server.session(application)
    gate = tmp_path / "gate"
    blocked = [server.submit(first, f"until {gate}") for _ in range(2)]
    waiting = [server.submit(first, f"until {gate}") for _ in range(2)]
    assert reached(lambda: server.status(first).running == 2)
    newcomer = server.session(application)
    task_id = server.submit(newcomer, "echo mine")
    gate.touch()
    assert text(server.ended(newcomer, task_id)) == "echo mine "
    assert [server.ended(first, each).status.state for each in (*blocked, *waiting)] == [TaskState.Succeed] * 4


def test_idle_workers_end_after_their_delay_and_those_to_be_kept_stay(server: RunningServer, archive: Path) -> None:
    def pid_in(session: str) -> int:
        return int(json.loads(server.run(session, "where").spec.output)["pid"])

    application = server.register(archive, delay_release=0)
    ends, stays = server.session(application), server.session(application, min_instances=1)
    kept = pid_in(stays)
    ended = pid_in(ends)
    assert reached(lambda: not psutil.pid_exists(ended))
    assert pid_in(stays) == kept


def test_a_worker_that_dies_fails_its_task_alone(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive))
    died = server.run(session, "die")
    assert died.status.state == TaskState.Failed
    assert message_of(died).startswith("transport error: worker ")
    assert message_of(died).endswith("(killed by SIGKILL): about to die")
    assert text(server.run(session, "echo still here")) == "echo still here "


@pytest.mark.parametrize(
    ("arguments", "fields", "words"),
    [
        (["crash"], {}, " ended (exit code 1): no such module: numpy. It did not listen on FLAME_INSTANCE_ENDPOINT"),
        ([], {"command": "/nowhere/worker"}, "return_code 11: shim creation failed: "),
        ([], {"command": ""}, "has no command"),
        ([], {"url": "file:///nowhere/package.tar.gz"}, "return_code 10: application installation failed: "),
        ([], {"url": "file:///nowhere/package.rpm"}, "unsupported archive format: package.rpm"),
        ([], {"url": "ftp://nowhere/package.tar.gz"}, "unsupported scheme: ftp"),
        ([], {"installer": "cargo"}, "Unknown installer type: cargo. Supported types: binary, python"),
        ([], {"installer": "python"}, "Register the application with a package that brings its worker"),
    ],
)
def test_what_keeps_workers_from_starting_is_told_by_the_session(
    server: RunningServer, archive: Path, arguments: list[str], fields: dict[str, object], words: str
) -> None:
    session = server.session(server.register(archive, *arguments, **fields))
    server.submit(session, "echo")
    events = server.wait_for_event(session, 1002)
    assert [event.code for event in events] == [*[1001] * 5, 1002]
    assert words in events[4].message
    assert server.status(session).pending == 1


def test_a_worker_that_refuses_its_session_is_a_bind_failure(server: RunningServer, archive: Path) -> None:
    session = server.session(server.register(archive), min_instances=1, common_data=b"refuse")
    first = server.wait_for_event(session, 1001)[0]
    assert "return_code 12: on_session_enter failed: this session is not to my liking" in first.message


@pytest.fixture
def web(archive: Path) -> Iterator[str]:
    """A server of the package's directory."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(archive.parent))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{serving.server_address[1]}/package.tar.gz"
        serving.shutdown()
        thread.join(BOUND_S)


def test_packages_come_from_the_web_and_from_the_object_cache(server: RunningServer, archive: Path, web: str) -> None:
    data = archive.read_bytes()
    ref = server.put("packages/pkg/package.tar.gz", *(data[at : at + 100] for at in range(0, len(data), 100)))
    for url in (web, f"{server.cache_endpoint}/{ref.key}"):
        session = server.session(server.register(archive, url=url))
        assert text(server.run(session, "echo there")) == "echo there "
