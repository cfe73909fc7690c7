# SPDX-License-Identifier: Apache-2.0
"""What a worker leaves: it ends as a Python program does, what it started cleans up after it, and nothing stays."""

from __future__ import annotations

import atexit
import builtins
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.local.workers.launcher import LEAVE_S
from tests.signs import BOUND_S, reached, until_exists, worker_pids

SHARED_MEMORY = Path("/dev/shm")


def _leave_things(here: str) -> str:
    """Whatever an interpreter cleans up at its end."""
    kept: Any = builtins
    atexit.register(Path(here, "atexit").touch)
    kept.left_file = Path(here, "buffered").open("w", encoding="utf-8")  # noqa: SIM115 - it is left open
    kept.left_file.write("a line that is in the buffer")
    kept.left_directory = tempfile.TemporaryDirectory(dir=here, prefix="left-")
    logging.getLogger("left").addHandler(logging.FileHandler(Path(here, "log"), delay=True))
    logging.getLogger("left").warning("a line of the log")
    return here


class Leaving:
    """A stateful service that does the same."""

    def leave(self, here: str) -> str:
        return _leave_things(here)


def _assert_cleaned(here: Path) -> None:
    """Within a moment: the end of a worker is not waited for."""

    def what_is_there() -> list[str]:
        left = [each.name for each in here.glob("left-*")]
        return [*left, *[each.read_text() for each in sorted(here.iterdir()) if each.is_file()]]

    reached(lambda: what_is_there() == ["", "a line that is in the buffer", "a line of the log\n"])
    assert what_is_there() == ["", "a line that is in the buffer", "a line of the log\n"]


@pytest.fixture
def here(tmp_path: Path) -> Path:
    here = tmp_path / "here"
    here.mkdir()
    return here


def test_a_worker_that_is_retired_ends_as_a_program_does(embedded: EmbeddedEngine, here: Path) -> None:
    with Runner("retired") as runner:
        assert runner.service(_leave_things)(str(here)).get(BOUND_S) == str(here)
    _assert_cleaned(here)


def test_the_worker_of_a_stateful_service_ends_as_a_program_does(embedded: EmbeddedEngine, here: Path) -> None:
    with Runner("stateful") as runner:
        service = runner.service(Leaving)
        service.leave(str(here)).get(BOUND_S)
        service.close()
        _assert_cleaned(here)


PROGRAM = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from flamepy import Runner
from tests.faults.processes.test_leavings import _leave_things, _lock_and_share
runner = Runner("program")
print(runner.service({function})({here!r}).get(60), flush=True)
{end}
"""


@pytest.mark.parametrize(
    ("end", "exit_code"), [("", 0), ("sys.exit(3)", 3), ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL)]
)
@pytest.mark.parametrize("function", ["_leave_things", "_lock_and_share"])
def test_however_a_program_ends_its_workers_clean_up(
    private_home: Path, here: Path, end: str, exit_code: int, function: str
) -> None:
    before = _shared()
    program = PROGRAM.format(tests=str(Path(__file__).parents[3]), function=function, here=str(here), end=end)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=here, capture_output=True, text=True, timeout=90, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (exit_code, str(here), "")
    if function == "_leave_things":
        _assert_cleaned(here)
    assert reached(lambda: _shared() <= before)


# --- handlers that do not end -----------------------------------------------------------------------------------------


def _wait_at_exit() -> None:
    atexit.register(threading.Event().wait)


def _leave_a_thread() -> None:
    threading.Thread(target=threading.Event().wait).start()


def _leave_a_program() -> int:
    return subprocess.Popen(["sleep", "1000"]).pid


def _leave_a_stubborn_program() -> int:
    ignoring = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(1000)"
    )
    process = subprocess.Popen([sys.executable, "-c", ignoring], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process.pid


def _leave_a_program_that_nobody_waits_for() -> int:
    """Its parent has gone to a session of its own, and goes on: what is killed here stays as a zombie of that one."""
    programs = (
        "import os, subprocess, time; print(subprocess.Popen(['sleep', '1000']).pid, os.setsid() or '', flush=True)"
    )
    parent = subprocess.Popen([sys.executable, "-c", programs + "; time.sleep(8)"], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    return int(parent.stdout.readline())


def _has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize(
    "leave",
    [
        _wait_at_exit,
        _leave_a_thread,
        _leave_a_program,
        _leave_a_stubborn_program,
        _leave_a_program_that_nobody_waits_for,
    ],
)
def test_the_end_of_a_worker_has_a_bound(project: None, nothing_is_left: None, leave: Callable[[], int | None]) -> None:
    runner = Runner("bound")
    pid = runner.service(leave)().get(BOUND_S)
    runner.close()
    began_s = time.monotonic()
    flamepy.shutdown()
    assert time.monotonic() - began_s < LEAVE_S, "the zygote had to be killed"
    assert pid is None or _has_ended(pid)


def test_what_workers_of_a_killed_zygote_have_started_ends_too(
    an_engine_of_its_own: None, embedded: EmbeddedEngine
) -> None:
    with Runner("zygote") as runner:
        service = runner.service(_leave_a_program)
        pid = service().get(BOUND_S)
        zygote = psutil.Process(worker_pids(embedded)[0]).parent()
        assert zygote is not None
        zygote.kill()
        assert reached(lambda: _has_ended(pid))
        assert not _has_ended(service().get(BOUND_S))


# --- shared memory ----------------------------------------------------------------------------------------------------


def _shared() -> set[str]:
    return set(os.listdir(SHARED_MEMORY)) if SHARED_MEMORY.exists() else set()


def _lock_and_share(here: str = "") -> str:
    """Semaphores and shared memory of multiprocessing, as libraries use them, without closing any."""
    import multiprocessing
    from multiprocessing.shared_memory import SharedMemory

    kept: Any = builtins
    kept.left_locks = [multiprocessing.get_context("spawn").Lock(), multiprocessing.get_context("spawn").Queue()]
    kept.left_memory = SharedMemory(create=True, size=1000)
    return here


def _fit_in_parallel() -> int:
    import numpy as np
    from joblib import Parallel, delayed

    return len(Parallel(n_jobs=2, max_nbytes=1000)(delayed(np.sum)(np.ones(10_000) * each) for each in range(4)))


def _share_and_resist(sign: str) -> None:
    _lock_and_share()
    while True:
        try:
            Path(sign).touch()
            time.sleep(60)
        except KeyboardInterrupt:
            continue


@pytest.mark.parametrize("use", [_lock_and_share, _fit_in_parallel])
def test_shared_memory_of_calls_goes_with_their_workers(
    project: None, nothing_is_left: None, use: Callable[[], Any]
) -> None:
    before = _shared()
    with Runner("shared") as runner:
        runner.service(use)().get(BOUND_S)
    flamepy.shutdown()
    assert _shared() <= before


def test_shared_memory_of_a_killed_call_goes_too(embedded: EmbeddedEngine, tmp_path: Path) -> None:
    before = _shared()
    with Runner("killed") as runner:
        future = runner.service(_share_and_resist)(str(tmp_path / "sign"))
        until_exists(tmp_path / "sign")
        assert future.cancel()
        assert future.wait(BOUND_S)
        assert reached(lambda: _shared() <= before)


# --- native threads ---------------------------------------------------------------------------------------------------


def _threads() -> tuple[int, dict[str, str]]:
    import numpy as np  # noqa: F401 - it brings a library with threads
    from threadpoolctl import threadpool_info

    found = [each["num_threads"] for each in threadpool_info()]
    return max(found, default=1), {name: value for name, value in os.environ.items() if name.endswith("_NUM_THREADS")}


@pytest.fixture
def own_threads(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in list(os.environ):
        if name.endswith("_THREADS"):
            monkeypatch.delenv(name)
    return monkeypatch


def test_workers_together_have_one_native_thread_for_each_processor(
    own_threads: pytest.MonkeyPatch, embedded: EmbeddedEngine
) -> None:
    with Runner("threads") as runner:
        threads, environ = runner.service(_threads)().get(BOUND_S)
    assert threads * embedded.worker_limit <= max(len(os.sched_getaffinity(0)), embedded.worker_limit)
    assert {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"} <= environ.keys()


def test_the_number_of_native_threads_that_the_user_has_set_stays(
    own_threads: pytest.MonkeyPatch, embedded: EmbeddedEngine
) -> None:
    own_threads.setenv("OMP_NUM_THREADS", "3")
    with Runner("threads") as runner:
        threads, environ = runner.service(_threads)().get(BOUND_S)
    assert environ["OMP_NUM_THREADS"] == "3"
    assert "OPENBLAS_NUM_THREADS" not in environ
    assert threads <= 3
