# SPDX-License-Identifier: Apache-2.0
"""What goes wrong on a cluster ends the calls that it is about, and no others; nothing waits for ever."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import pytest

import flamepy
from flamepy import CallCancelled, ObjectFuture, Runner
from flamepy.cache.flight.client import FlightClient
from flamepy.codec.framed import parts_of, payload_of
from flamepy.codec.pickling import encode
from flamepy.config import ContextFields
from flamepy.core.application import ApplicationAttributes
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.cluster.engine import ClusterEngine
from flamepy.engine.current import use_engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.errors import ExecutorLost, FlameError, StateLost
from flamepy.instance.cache_access import CacheAccess
from flamepy.instance.calls import Calls
from flamepy.protocol.cluster import packets
from flamepy.protocol.cluster.packets import RemoteCall
from flamepy.protocol.cluster.parcels import Parcel
from flamepy.runner.types import RunnerContext
from flamepy.server.executors.instance_client import InstanceClient, InstanceFailed
from flamepy.wire import messages
from flamepy.wire.applications import application_of
from tests.faults.going_on import Counter
from tests.signs import BOUND_S, reached

HEARD = "the executor may hear by this call that its worker is gone"
LAUNCHER = str(Path(flamepy.__file__).parent / "instance" / "launch.sh")


@pytest.fixture
def cluster_engine(cluster: ContextFields, project: Path, nothing_is_left: None) -> Iterator[ClusterEngine]:
    engine = ClusterEngine(cluster)
    try:
        with use_engine(engine):
            yield engine
    finally:
        engine.close()


def _begin_and_wait(begun: Path, once: bool = False) -> str:
    if once and begun.exists():
        return "again"
    begun.touch()
    while True:
        try:
            time.sleep(1000)
        except KeyboardInterrupt:
            continue


def _print_and_wait(gate: Path) -> str:
    print("before the gate", flush=True)
    while not gate.exists():
        time.sleep(0.01)
    return "through"


def _executors() -> list[psutil.Process]:
    """The processes that the server's executors talk to, and those that watch over them."""
    found = []
    for each in psutil.Process().children(recursive=True):
        try:
            if any("flamepy.instance" in word for word in each.cmdline()):
                found.append(each)
        except psutil.Error:
            continue
    return found


def _begun(future: ObjectFuture, begun: Path) -> ObjectFuture:
    assert reached(begun.exists), future
    return future


def test_a_lost_executor_ends_its_call_and_the_state_is_that_of_the_acknowledged_calls(
    cluster_engine: ClusterEngine, tmp_path: Path
) -> None:
    with Runner("lost") as runner:
        counter, waiting = runner.service(Counter()), runner.service(_begin_and_wait)
        patient = runner.service(_begin_and_wait, retries=1)
        assert [counter.add().get(BOUND_S) for _ in range(2)] == [1, 2]
        lost = _begun(waiting(tmp_path / "lost"), tmp_path / "lost")
        repeated = _begun(patient(tmp_path / "again", once=True), tmp_path / "again")
        for each in _executors():
            each.send_signal(signal.SIGKILL)
        error = lost.exception(BOUND_S)
        assert isinstance(error, ExecutorLost)
        assert "was not run again" in str(error)
        assert repeated.get(BOUND_S) == "again"
        added = counter.add()
        assert added.exception(BOUND_S) is None or isinstance(added.exception(), ExecutorLost), HEARD
        assert counter.add().get(BOUND_S) == 3 + (added.exception() is None)


class _Box:
    def __init__(self) -> None:
        self.data = b""

    def fill(self, nbytes: int) -> int:
        self.data += b"x" * nbytes
        return len(self.data)


def test_a_state_that_the_cache_has_dropped_is_said_to_be_lost(
    cluster_engine: ClusterEngine, cluster: ContextFields
) -> None:
    with Runner("dropped") as runner:
        box = runner.service(_Box())
        assert box.fill(10_000_000).get(BOUND_S) == 10_000_000
        for session_id in _sessions(cluster):
            cluster_engine.objects.delete(f"dropped/{session_id}")
        for each in _executors():
            each.send_signal(signal.SIGKILL)
        first = box.fill(1).exception(BOUND_S)
        assert isinstance(first, (ExecutorLost, StateLost)), HEARD
        error = box.fill(1).exception(BOUND_S)
        assert isinstance(error, StateLost)
        assert "the object cache has dropped it" in str(error)


def test_a_session_that_the_cluster_has_forgotten_is_opened_again_and_an_application_is_missed_in_words(
    cluster_engine: ClusterEngine, cluster: ContextFields
) -> None:
    """As after a server was started anew that keeps nothing."""
    connection = Connection(str(cluster.endpoint))
    with Runner("forgotten") as runner:
        length = runner.service(len)
        assert length("one").get(BOUND_S) == 3
        _forget_sessions(connection, "forgotten")
        assert length("three").get(BOUND_S) == 5
        _forget_sessions(connection, "forgotten")
        request = messages.UnregisterApplicationRequest(name="forgotten")
        connection.ask(connection.call("UnregisterApplication", request))
        error = length("four").exception(BOUND_S)
        assert "the cluster does not know the application 'forgotten' any more" in str(error)
        assert "Open the Runner again" in str(error)
    connection.close(BOUND_S)


@pytest.mark.usefixtures("cluster_engine")
def test_a_package_stays_as_long_as_an_application_uses_it(cluster: ContextFields, project: Path) -> None:
    """Those of one name lie together, whatever application got which: a Runner, and one that takes its place."""
    cache = FlightClient(str(cluster.cache_endpoint))
    (project / "data.txt").write_text("first")
    first = Runner("packed")
    (project / "data.txt").write_text("second")
    first.service(len).close()
    assert first.application != "packed"
    with Runner("packed") as second:
        assert second.package is not None
        key = urlsplit(second.package.url).path.lstrip("/")
        first.close()
        assert cache.has(key)
        with Runner("packed") as third:
            assert third.application == "packed"
            second.close()
            assert cache.has(key)
    assert not cache.has(key), "it goes with the last of them"
    cache.close()


def _forget_sessions(connection: Connection, application: str) -> None:
    for each in connection.ask(connection.call("ListSession", messages.ListSessionRequest())).sessions:
        if each.spec.application == application:
            named = {"session_id": each.metadata.id}
            connection.ask(connection.call("CloseSession", messages.CloseSessionRequest(**named)))
            connection.ask(connection.call("DeleteSession", messages.DeleteSessionRequest(**named)))


def test_the_end_of_the_engine_ends_every_call_and_callbacks_may_wait(
    cluster_engine: ClusterEngine, cluster: ContextFields, tmp_path: Path
) -> None:
    runner = Runner("ends")
    service = runner.service(_begin_and_wait)
    object_ = runner.service(Counter())
    assert object_.add().get(BOUND_S) == 1
    running = _begun(service(tmp_path / "begun"), tmp_path / "begun")
    may_go_on, went_on = threading.Event(), threading.Event()

    def wait_for_another(_: ObjectFuture) -> None:
        may_go_on.wait(BOUND_S)
        went_on.set()

    behind = object_.array(running)
    behind.add_done_callback(wait_for_another)
    assert behind.cancel()
    assert object_.add().get(BOUND_S) == 2, "a callback that waits holds up other calls"
    may_go_on.set()
    assert went_on.wait(BOUND_S)
    cluster_engine.close(grace_s=0.1)  # the call lets no interrupt through
    assert isinstance(running.exception(BOUND_S), CallCancelled)
    _close_sessions(cluster)


def _sessions(cluster: ContextFields) -> list[str]:
    """Those that are open on the cluster."""
    with _connected(cluster) as connection:
        found = connection.ask(connection.call("ListSession", messages.ListSessionRequest())).sessions
        return [each.metadata.id for each in found if each.status.state == messages.SessionState.Open]


def _pending_tasks(cluster: ContextFields) -> int:
    with _connected(cluster) as connection:
        found = connection.ask(connection.call("ListSession", messages.ListSessionRequest())).sessions
        return sum(each.status.pending for each in found)


def _close_sessions(cluster: ContextFields) -> None:
    """Those that an engine had to leave, because their worker was not done with a call."""

    def is_closed(session_id: str) -> bool:
        try:
            connection.ask(connection.call("CloseSession", messages.CloseSessionRequest(session_id=session_id)))
        except FlameError:  # the worker kills the call after its grace
            return False
        return True

    with _connected(cluster) as connection:
        for each in _sessions(cluster):
            assert reached(partial(is_closed, each))


@contextlib.contextmanager
def _connected(cluster: ContextFields) -> Iterator[Connection]:
    assert cluster.endpoint is not None
    connection = Connection(cluster.endpoint)
    try:
        yield connection
    finally:
        connection.close(BOUND_S)


def test_a_packet_that_is_handed_over_twice_runs_once(
    cluster: ContextFields, project: Path, nothing_is_left: None, tmp_path: Path
) -> None:
    def note(path: str) -> None:
        with open(path, "a") as file:
            file.write("ran\n")

    def parcel(value: object) -> Parcel:
        data = b"".join(parts_of(encode(value)))
        return Parcel(len(data), data)

    path = tmp_path / "notes"
    engine = EmbeddedEngine(workers=1)
    try:
        engine.applications.adopt("here", ApplicationAttributes(), str(project))
        assert cluster.cache_endpoint is not None
        calls = Calls(engine, CacheAccess(cluster.cache_endpoint, "twice/session"), "here")
        call = RemoteCall(1, "service", parcel(RunnerContext(note)), parcel((None, (str(path),), {})), name="note")
        data = packets.task_input("packet", [call])
        (report,) = packets.reports_of(calls.run(data))
        assert report.status == packets.OK
        (report,) = packets.reports_of(calls.run(data))
        assert report.status == packets.REFUSED
        assert report.body.data is not None
        refusal = pickle.loads(payload_of(report.body.data).data)
        assert isinstance(refusal, ExecutorLost)
        assert "ran note: the cluster handed it over a second time" in str(refusal)
    finally:
        engine.close()
    assert path.read_text() == "ran\n"


def _append(path: Path) -> None:
    with open(path, "a") as file:
        file.write("ran")


def test_a_call_that_waits_on_the_cluster_is_cancelled_at_once_and_never_runs(
    cluster_engine: ClusterEngine, cluster: ContextFields, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with Runner("waits") as runner:
        service, append = runner.service(_print_and_wait), runner.service(_append)
        running = [service(gate) for _ in range(4)]  # as many as the server has workers
        assert reached(lambda: all(each.state == "running" for each in running)), running
        future, other = append(tmp_path / "notes"), append(tmp_path / "others")
        assert reached(lambda: _pending_tasks(cluster) >= 2)
        assert future.cancel()
        assert isinstance(future.exception(BOUND_S), CallCancelled)
        assert not gate.exists()
        gate.touch()
        assert [each.get(BOUND_S) for each in running] == ["through"] * 4
        other.get(BOUND_S)
    assert not (tmp_path / "notes").exists()


def test_what_a_call_prints_is_there_while_it_runs(cluster_engine: ClusterEngine, tmp_path: Path) -> None:
    with Runner("prints") as runner:
        future = runner.service(_print_and_wait)(tmp_path / "gate")
        assert reached(lambda: future.output == "before the gate\n"), future
        assert future.state == "running"
        (tmp_path / "gate").touch()
        assert future.get(BOUND_S) == "through"


def test_a_worker_that_was_killed_is_followed_by_another_one_which_leaves_the_session(
    project: Path, tmp_path: Path, nothing_is_left: None
) -> None:
    """Else its executor would ask it for ever, and be lost to the whole cluster."""
    socket = tmp_path / "socket"
    supervisor = subprocess.Popen(
        ["/bin/sh", LAUNCHER], env=_environ_of_a_worker(project, socket), stderr=subprocess.PIPE, text=True
    )
    try:
        asyncio.run(_kill_between_enter_and_leave(supervisor.pid, str(socket)))
    finally:
        supervisor.terminate()
        said = supervisor.communicate(timeout=BOUND_S)[1]
    assert supervisor.returncode == 0, said
    assert "ended (killed by SIGKILL); another one is started" in said


# What stands for Python at first: waits until the executor has ended.
PYTHON_LATER = """#!/bin/sh
touch "$FLAME_APP_DIR/begun"
while kill -0 "$EXECUTOR" 2>/dev/null; do :; done
exec "{python}" "$@"
"""
EXECUTOR = """
export EXECUTOR=$$
/bin/sh "$0" >&2 2>/dev/null &
echo $!
until [ -e "$FLAME_APP_DIR/begun" ]; do :; done
"""


def test_a_worker_whose_executor_was_gone_before_its_python_began_ends(project: Path, tmp_path: Path) -> None:
    later = tmp_path / "python"
    later.write_text(PYTHON_LATER.format(python=sys.executable))
    later.chmod(0o755)
    environ = {**_environ_of_a_worker(project, tmp_path / "socket"), "FLAME_WORKER_PYTHON": str(later)}
    executor = subprocess.run(
        ["/bin/sh", "-c", EXECUTOR, LAUNCHER], env=environ, stdout=subprocess.PIPE, text=True, check=True
    )
    worker = psutil.Process(int(executor.stdout))
    assert reached(lambda: not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE)


def _environ_of_a_worker(project: Path, socket: Path) -> dict[str, str]:
    """What an executor would start the launcher with, in a directory that has what a package has."""
    (project / ".flame").mkdir()
    (project / ".flame" / "flamepy").symlink_to(Path(flamepy.__file__).parent)
    return {
        **os.environ,
        "FLAME_APP_DIR": str(project),
        "FLAME_INSTANCE_ENDPOINT": str(socket),
        "FLAME_CACHE_ENDPOINT": "grpc://127.0.0.1:1",
        "FLAME_PYTHON_VERSION": f"{sys.version_info.major}.{sys.version_info.minor}",
        "FLAME_WORKER_PYTHON": sys.executable,
    }


async def _kill_between_enter_and_leave(supervisor_pid: int, socket: str) -> None:
    client = InstanceClient(socket)
    await asyncio.wait_for(client.connect(), BOUND_S)
    try:
        entered = await client.enter("session", application_of(messages.Application()), None)
        assert entered.return_code == 0
        children = psutil.Process(supervisor_pid).children()
        (serving,) = [each for each in children if "flamepy.instance" in " ".join(each.cmdline())]
        serving.kill()
        await asyncio.wait_for(_leave(client), BOUND_S)
    finally:
        await client.close()


async def _leave(client: InstanceClient) -> None:
    """As an executor does: until it is answered."""
    is_left = False
    while not is_left:
        try:
            await client.leave()
            is_left = True
        except InstanceFailed:  # nobody listens
            await asyncio.sleep(0.01)
