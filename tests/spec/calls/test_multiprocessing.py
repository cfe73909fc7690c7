# SPDX-License-Identifier: Apache-2.0
"""What multiprocessing shares with its own processes can be used in calls too."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import multiprocessing.managers
import multiprocessing.resource_tracker
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from flamepy import Runner
from flamepy.engine.api import Engine
from tests.signs import BOUND_S


class Tally:
    def __init__(self) -> None:
        self.total = 0

    def add(self, value: int) -> int:
        self.total += value
        return self.total


class TallyManager(multiprocessing.managers.BaseManager):
    pass


TallyManager.register("Tally", Tally)


def _use(proxies: dict[str, Any]) -> str:
    proxies["queue"].put(1)
    proxies["dict"]["key"] = 2
    proxies["list"].append(3)
    proxies["namespace"].x = 4
    proxies["value"].value = 5
    with proxies["lock"]:
        proxies["event"].set()
    return str(proxies["queue"].get())


def _use_inside(proxies: dict[str, Any]) -> str:
    with Runner("inside") as runner:
        return str(runner.service(_use)(proxies).get(BOUND_S))


def _add(tally: Any, value: int) -> int:
    return int(tally.add(value))


def _connect(address: Any) -> Any:
    with multiprocessing.connection.Client(address, authkey=multiprocessing.current_process().authkey) as connection:
        return connection.recv()


@pytest.fixture(scope="module", autouse=True)
def tracker() -> None:
    """The tracker that multiprocessing starts with its first child stays until the program ends: it is not ours."""
    multiprocessing.resource_tracker.ensure_running()


@pytest.fixture
def manager() -> Iterator[Any]:
    with multiprocessing.get_context("spawn").Manager() as manager:
        yield manager


def test_proxies_of_a_manager_work_in_calls_and_in_their_calls(engine: Engine, manager: Any) -> None:
    kinds = {
        "queue": manager.Queue(), "dict": manager.dict(), "list": manager.list(), "namespace": manager.Namespace(),
        "value": manager.Value("i", 0), "lock": manager.Lock(), "event": manager.Event(),
    }  # fmt: skip
    with Runner("proxies") as runner:
        assert runner.service(_use)(kinds).get(BOUND_S) == "1"
        assert runner.service(_use_inside)(kinds).get(BOUND_S) == "1"
    assert kinds["dict"].copy() == {"key": 2}
    assert list(kinds["list"]) == [3, 3]
    assert kinds["event"].is_set()


def test_proxies_of_a_manager_of_the_users_own_work_in_calls(engine: Engine) -> None:
    with TallyManager(ctx=multiprocessing.get_context("spawn")) as manager, Runner("own") as runner:
        tally = manager.Tally()  # type: ignore[attr-defined]  # made by register
        add = runner.service(_add)
        assert sum(each.get(BOUND_S) > 0 for each in [add(tally, 1) for _ in range(5)]) == 5
        assert tally.add(0) == 5


def test_connections_authenticate_with_the_key_of_the_program(engine: Engine) -> None:
    with multiprocessing.connection.Listener(authkey=multiprocessing.current_process().authkey) as listener:

        def send() -> None:
            with listener.accept() as connection:
                connection.send("through")

        thread = threading.Thread(target=send)
        thread.start()
        with Runner("connections") as runner:
            assert runner.service(_connect)(listener.address).get(BOUND_S) == "through"
        thread.join(BOUND_S)


LATE = """
import sys
from flamepy import Runner

def put(queue, value):
    queue.put(value)

if __name__ == "__main__":
    with Runner("late") as runner:
        service = runner.service(put)
        runner.service(print)().get(60)  # a worker is there
        assert "multiprocessing.process" not in sys.modules
        import multiprocessing
        with multiprocessing.Manager() as manager:
            queue = manager.Queue()
            service(queue, "late").get(60)
            print(queue.get(timeout=60))
"""


def test_a_manager_that_is_made_after_the_workers_is_known_to_them(tmp_path: Any) -> None:
    (tmp_path / "late.py").write_text(LATE)
    done = subprocess.run(
        [sys.executable, "late.py"], cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.stdout, done.stderr) == ("late\n", "")
