# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy serve`` from its first line to its end."""

from __future__ import annotations

import re
import signal
import socket
from pathlib import Path

import grpc
import pytest
from pyarrow import flight

from flamepy.wire.messages import TaskState
from tests.server.running import OPAQUE, RunningServer, message_of, opaque_row, refused_server
from tests.signs import reached


def test_the_first_line_says_what_to_set(server: RunningServer) -> None:
    line = r"FLAME_ENDPOINT=http://127\.0\.0\.1:\d+ FLAME_CACHE_ENDPOINT=grpc://127\.0\.0\.1:\d+\n"
    assert re.fullmatch(line, server.first_line)


@pytest.mark.parametrize("option", ["--port", "--cache-port"])
def test_a_port_that_is_taken_is_one_line(option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = refused_server(option, str(port))
    assert ended.code == 1
    assert re.fullmatch(
        rf"flamepy serve: (cache )?port {port} of 127.0.0.1: another program listens on it\. "
        rf"Choose another with {option}; 0 takes a free one\.\n",
        ended.said,
    )


def test_an_address_that_others_reach_needs_words() -> None:
    ended = refused_server("--host", "0.0.0.0")
    assert ended.code == 1
    assert "--allow-remote" in ended.said
    assert ended.said.count("\n") == 1


def test_at_its_end_running_tasks_get_a_grace_and_nothing_is_left(archive: Path, tmp_path: Path) -> None:
    server = RunningServer.of(tmp_path / "t", "--workers", "2")
    session = server.session(server.register(archive))
    gate = tmp_path / "gate"
    ids = [server.submit(session, word) for word in (f"until {gate}", f"until {tmp_path / 'never'}", "echo pending")]
    watches = [server.watch(session, each) for each in ids]
    unfinished, _ = server.cache.do_put(flight.FlightDescriptor.for_path("app/session/half"), OPAQUE)
    unfinished.write_batch(opaque_row(b"the other half never comes"))
    assert reached(lambda: server.status(session).running == 2)
    server.process.send_signal(signal.SIGTERM)
    assert reached(lambda: "is ending" in _refusal_while_ending(server))
    gate.touch()
    ended = [list(watch)[-1] for watch in watches[:2]]
    assert [each.status.state for each in ended] == [TaskState.Succeed, TaskState.Failed]
    assert "the server ended before the task did" in message_of(ended[1])
    with pytest.raises(grpc.RpcError) as caught:
        list(watches[2])
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert server.end() == 0


def _refusal_while_ending(server: RunningServer) -> str:
    try:
        server.call("OpenSession", session_id="new", session={"application": "flmrun"})
    except grpc.RpcError as error:
        return str(error.details())
    return ""


def test_a_server_that_is_killed_leaves_nothing_either(archive: Path, tmp_path: Path) -> None:
    server = RunningServer.of(tmp_path / "t", "--workers", "1")
    session = server.session(server.register(archive))
    server.submit(session, "until never")
    assert reached(lambda: server.status(session).running == 1)
    assert server.end(signal.SIGKILL) == -signal.SIGKILL


def test_a_worker_has_a_bounded_time_to_listen(archive: Path, tmp_path: Path) -> None:
    server = RunningServer.of(tmp_path / "t", "--workers", "1", "--start-limit", "0.1")
    session = server.session(server.register(archive, "silent"), min_instances=1)
    assert "did not listen on FLAME_INSTANCE_ENDPOINT within 0.1 s" in server.wait_for_event(session, 1001)[0].message
    assert server.end() == 0
