# SPDX-License-Identifier: Apache-2.0
"""Runners of one name meet in calls, in threads and in other processes: each ends only what it opened."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import flamepy
from flamepy import Runner
from flamepy.core.session import SessionState
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.errors import AlreadyExists, FlameError, NotFound, RunnerClosed
from flamepy.runner.types import SessionContext
from tests.signs import reached, until_exists

BOUND_S = 60.0


def echo(value: Any) -> Any:
    return value


def until_there(path: str) -> str:
    until_exists(Path(path))
    return path


def tree(name: str, levels: int, fan_out: int) -> int:
    """The number of leaves: each level opens a Runner of the name at the same time as its siblings."""
    if levels == 0:
        return 1
    with Runner(name) as runner:
        service = runner.service(tree)
        return sum(runner.get([service(name, levels - 1, fan_out) for _ in range(fan_out)]))


def open_and_leave(name: str, path: str) -> Any:
    """A Runner that nobody closes, and a call of it that goes on."""
    service = Runner(name).service(until_there)
    service(path)
    return service


def open_and_die(name: str, path: str) -> None:
    open_and_leave(name, path)
    os.kill(os.getpid(), signal.SIGKILL)


class Joined:
    """An object whose session has a name of its own, under which others join it."""

    def __init__(self, session_id: str) -> None:
        self._session_context = SessionContext(session_id)
        self.count = 0

    def add(self) -> int:
        self.count += 1
        return self.count


def open_sessions(engine: Engine, application: str) -> list[str]:
    return [
        view.id
        for view in engine.sessions.list()
        if view.application == application and view.state is SessionState.OPEN
    ]


@pytest.fixture
def two_ways(embedded: EmbeddedEngine) -> Iterator[tuple[Engine, Engine]]:
    """The engine as its own process has it, and as another process does."""
    uplink = UplinkEngine(embedded.uplink_address)
    yield embedded, uplink
    uplink.close()


@pytest.mark.inline
@pytest.mark.parametrize("top", ["top", "step"])
def test_three_levels_of_runners_of_one_name_do_not_end_each_other(engine: Engine, top: str) -> None:
    with Runner(top) as runner:
        service = runner.service(tree)
        for _ in range(2):
            assert runner.get([service("step", 2, 3) for _ in range(3)]) == [9, 9, 9]
        if top != "step":
            assert engine.applications.get("step") is None
    assert engine.applications.get("step") is None


@pytest.mark.uplink
def test_runners_that_open_and_close_in_many_threads_at_once_do_not_end_each_other(engine: Engine) -> None:
    def use(value: int) -> int:
        with Runner("threads", engine=engine) as runner:
            return int(runner.service(echo)(value).get(BOUND_S))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(use, range(60))) == list(range(60))
    assert engine.applications.get("threads") is None


def test_the_last_runner_of_two_processes_takes_the_application_away(two_ways: tuple[Engine, Engine]) -> None:
    for first_engine, last_engine in (two_ways, two_ways[::-1]):
        first, last = Runner("shared", engine=first_engine), Runner("shared", engine=last_engine)
        assert last.package is not None
        service, kept = last.service(echo), last.put_object("kept")
        first.service(echo)(1).get(BOUND_S)
        first.close()
        assert service(kept).get(BOUND_S) == "kept"
        last.close()
        assert last_engine.applications.get("shared") is None
        assert first_engine.sessions.list() == []


def test_other_content_in_another_process_gets_an_application_beside(
    two_ways: tuple[Engine, Engine], tmp_path: Path
) -> None:
    def read() -> str:
        return Path("which.txt").read_text()

    roots = [tmp_path / "one", tmp_path / "two"]
    for root in roots:
        root.mkdir()
        (root / "which.txt").write_text(root.name)
    with Runner("content", root=roots[0], engine=two_ways[0]) as one:
        with Runner("content", root=roots[1], engine=two_ways[1]) as two:
            assert two.package is not None
            assert (one.application, two.application) == ("content", f"content.{two.package.sha[:8]}")
            services = [one.service(read), two.service(read)]
            assert [service().get(BOUND_S) for service in services] == ["one", "two"]
        assert services[0]().get(BOUND_S) == "one"
    assert two_ways[0].applications.list() == two_ways[1].applications.list()
    assert len(two_ways[0].applications.list()) == 1  # the built-in template


@pytest.mark.inline
@pytest.mark.uplink
def test_of_many_that_want_a_name_for_themselves_one_gets_it(engine: Engine) -> None:
    start = threading.Barrier(6, timeout=BOUND_S)

    def claim(_: int) -> Runner | AlreadyExists:
        start.wait()
        try:
            return Runner("claimed", fail_if_exists=True, engine=engine)
        except AlreadyExists as error:
            return error

    with ThreadPoolExecutor(6) as pool:
        claims = list(pool.map(claim, range(6)))
    (winner,) = [each for each in claims if isinstance(each, Runner)]
    assert all("rename yours" in str(each) for each in claims if each is not winner)
    assert winner.service(echo)(1).get(BOUND_S) == 1
    winner.close()
    assert engine.applications.get("claimed") is None


def test_a_session_that_two_runners_have_joined_ends_with_the_last(two_ways: tuple[Engine, Engine]) -> None:
    one, two = (Runner("joined", engine=each) for each in two_ways)
    first, second = one.service(Joined("meeting")), two.service(Joined("meeting"))
    assert [first.add().get(BOUND_S), second.add().get(BOUND_S)] == [1, 2]
    one.close(cancel=True)
    with pytest.raises(RunnerClosed):
        first.add()
    assert second.add().get(BOUND_S) == 3
    two.close()
    with pytest.raises(NotFound):
        two_ways[0].sessions.get("meeting")


def test_a_session_that_no_runner_opened_keeps_the_application_until_it_ends(embedded: EmbeddedEngine) -> None:
    with Runner("theirs"):
        session = flamepy.create_session(application="theirs")
    assert embedded.applications.get("theirs") is not None
    session.close()
    assert embedded.applications.get("theirs") is None


def test_a_worker_that_is_killed_in_a_call_gives_back_what_its_runners_had(engine: Engine, tmp_path: Path) -> None:
    with Runner("outer") as runner:
        with pytest.raises(flamepy.WorkerLost):
            runner.service(open_and_die)("inner", str(tmp_path / "never")).get(BOUND_S)
        with pytest.raises(flamepy.WorkerLost):
            runner.service(open_and_die)("outer", str(tmp_path / "never")).get(BOUND_S)
        assert reached(lambda: engine.applications.get("inner") is None)
        assert reached(lambda: len(open_sessions(engine, "outer")) == 2)


def test_a_handle_that_a_call_returned_outlives_the_worker_of_that_call(
    embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    with Runner("outer") as runner:
        handles = [runner.service(open_and_leave)(name, str(gate)).get(BOUND_S) for name in ("inner", "outer")]
        gate.touch()
        embedded.resize(1)  # the worker of that call has to make room
        workers = {worker.worker_id for worker in embedded.workers()}
        with Runner("other") as other:
            other.service(echo)(1).get(BOUND_S)
        assert reached(lambda: not workers & {worker.worker_id for worker in embedded.workers()})
        assert [handle(str(gate)).get(BOUND_S) for handle in handles] == [str(gate)] * 2
    assert reached(lambda: len(embedded.applications.list()) == 1)
    assert embedded.sessions.list() == []


def test_a_process_that_is_killed_gives_back_its_leases_and_one_that_ends_as_well(
    embedded: EmbeddedEngine, project: Path, tmp_path: Path
) -> None:
    program = """
        import sys
        from flamepy import Runner
        runner = Runner("shared")
        print(runner.service(abs)(-1).get(60), flush=True)
        sys.stdin.read()
        """
    environ = {**os.environ, "FLAME_UPLINK": embedded.uplink_address}
    with Runner("shared") as mine:
        service = mine.service(echo)
        for end in (subprocess.Popen.kill, subprocess.Popen.communicate):
            process = subprocess.Popen(
                [sys.executable, "-c", textwrap.dedent(program)],
                env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            )  # fmt: skip
            with process:
                assert process.stdout is not None
                assert process.stdout.readline() == "1\n"
                assert len(open_sessions(embedded, "shared")) == 2
                end(process)
            assert reached(lambda: len(open_sessions(embedded, "shared")) == 1)
        assert service(3).get(BOUND_S) == 3
    assert embedded.applications.get("shared") is None


def test_two_programs_that_share_a_storage_leave_each_other_the_package(
    embedded: EmbeddedEngine, project: Path, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    storage.mkdir()
    program = f"""
        import sys, flamepy
        context = flamepy.FlameContext(package=flamepy.FlamePackage(storage={storage.as_uri()!r}))
        runner = flamepy.Runner("stored", context=context)
        print(runner.package.path.name, flush=True)
        sys.stdin.readline()
        runner.close()
        """
    context = flamepy.FlameContext(package=flamepy.FlamePackage(storage=storage.as_uri()))

    def other() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    with other() as first, other() as killed:
        assert first.stdout is not None
        assert killed.stdout is not None
        name = first.stdout.readline().strip()
        assert killed.stdout.readline().strip() == name
        with Runner("stored", context=context) as mine:
            first.communicate("end")
            killed.kill()
            killed.wait()
            assert [each.name for each in storage.iterdir()] == [name]
            assert mine.service(echo)(1).get(BOUND_S) == 1
        assert list(storage.iterdir()) == []


def test_whoever_asks_for_what_has_gone_is_told_in_one_line(two_ways: tuple[Engine, Engine]) -> None:
    with Runner("gone", engine=two_ways[0]) as runner:
        service = runner.service(echo)
        two_ways[1].sessions.close(open_sessions(two_ways[0], "gone")[0])
        with pytest.raises(
            FlameError, match=r"^cannot call echo: its session gone-\S+ was closed\. Create the service"
        ):
            service(1)
