# SPDX-License-Identifier: Apache-2.0
"""However a process of ours ends, its own or by force: callers get an answer, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import flamepy
from flamepy import Runner
from flamepy.engine.local.engine import EmbeddedEngine
from tests.signs import reached, until_exists, worker_pids

BOUND_S = 20.0
LEAVE_S = 5.0

# From Python 3.12 on, fork warns in a process with threads; forking one is what some of these programs are about.
PREAMBLE = """
import os, sys, time, tempfile, warnings
import flamepy
from flamepy import Runner

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

def busy(path):
    open(path, "w").close()
    while True:
        sum(range(100_000))

def echo(value):
    return value

def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)

def start_busy(runner, count):
    service = runner.service(busy)
    paths = [os.path.join(os.environ["SIGNS"], str(index)) for index in range(count)]
    futures = [service(path) for path in paths]
    until(lambda: all(map(os.path.exists, paths)))
    return futures
"""


class Script:
    """A Python program of its own, with a temporary directory of its own, and everything that it started."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.scratch = directory / "tmp"
        self.scratch.mkdir()
        (directory / "signs").mkdir()
        self.process: subprocess.Popen[str] | None = None

    def start(self, body: str, **environ: str) -> subprocess.Popen[str]:
        path = self.directory / "script.py"
        path.write_text(PREAMBLE + textwrap.dedent(body))
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            cwd=self.directory,
            env={**os.environ, "TMPDIR": str(self.scratch), "SIGNS": str(self.directory / "signs"), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def ours(self) -> list[psutil.Process]:
        """Every process with this script's temporary directory in its environment."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("TMPDIR") == str(self.scratch) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def assert_nothing_left(self) -> None:
        _, alive = psutil.wait_procs(self.ours(), timeout=LEAVE_S)
        assert not alive
        assert list(self.scratch.glob("flame-*")) == []


@pytest.fixture
def script(tmp_path: Path) -> Iterator[Script]:
    script = Script(tmp_path)
    yield script
    if script.process is not None and script.process.poll() is None:
        script.process.kill()
        script.process.wait()
    for stream in (script.process.stdout, script.process.stderr) if script.process else ():
        if stream is not None:
            stream.close()
    script.assert_nothing_left()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_killed_interpreter_with_four_busy_workers_leaves_nothing(script: Script) -> None:
    process = script.start(
        """
        runner = Runner("busy")
        start_busy(runner, 4)
        runner.service(lambda: os.system("sleep 1000 &"))().wait()
        print("ready", flush=True)
        time.sleep(1000)
        """,
        FLAME_WORKERS="5",
    )
    assert first_line(process) == "ready"
    started = script.ours()
    assert len(started) >= 7  # the interpreter, the zygote, five workers, the child of a worker
    process.kill()
    script.assert_nothing_left()


def test_a_killed_interpreter_leaves_nothing_although_a_forked_child_of_it_lives(script: Script) -> None:
    process = script.start(
        """
        runner = Runner("busy")
        start_busy(runner, 2)
        if os.fork() == 0:
            os.environ.clear()
            print("ready", os.getpid(), flush=True)
            time.sleep(1000)
        time.sleep(1000)
        """,
        FLAME_WORKERS="2",
    )
    child = psutil.Process(int(first_line(process).split()[1]))
    workers = [each for each in script.ours() if each.pid not in (process.pid, child.pid)]
    assert len(workers) == 3
    process.kill()
    try:
        _, alive = psutil.wait_procs(workers, timeout=LEAVE_S)
        assert not alive
    finally:
        child.kill()


@pytest.mark.parametrize(("ending", "code"), [("", 0), ("sys.exit(3)", 3), ("raise ValueError", 1)])
def test_an_interpreter_that_ends_with_calls_running_ends_soon_and_quietly(
    script: Script, ending: str, code: int
) -> None:
    began_s = time.monotonic()
    process = script.start(f"runner = Runner('busy')\nfutures = start_busy(runner, 2)\n{ending}\n", FLAME_WORKERS="2")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err == "" or (code == 1 and err.splitlines()[-1] == "ValueError")
    assert time.monotonic() - began_s < 30


def test_sigterm_ends_an_interpreter_and_everything_of_it(script: Script) -> None:
    process = script.start(
        "runner = Runner('busy')\nstart_busy(runner, 2)\nprint('ready', flush=True)\ntime.sleep(1000)\n",
        FLAME_WORKERS="2",
    )
    assert first_line(process) == "ready"
    process.terminate()
    assert process.wait(BOUND_S) == -signal.SIGTERM
    script.assert_nothing_left()


def test_a_forked_child_is_told_so_and_may_have_an_engine_of_its_own(script: Script) -> None:
    process = script.start(
        """
        runner = Runner("parent")
        service = runner.service(echo)
        assert service(1).get(20) == 1
        pid = os.fork()
        if pid == 0:
            try:
                service(2).get(20)
            except flamepy.FlameError as error:
                print(type(error).__name__, error, flush=True)
            with Runner("child") as own:
                print(own.service(echo)("own").get(20), flush=True)
            flamepy.shutdown()
            os._exit(0)
        print(os.waitpid(pid, 0)[1], flush=True)
        print(service(3).get(20), flush=True)
        """
    )
    out, err = process.communicate(timeout=60)
    lines = out.splitlines()
    assert err == ""
    assert lines[0].startswith("EngineForked this process was forked")
    assert lines[1:] == ["own", "0", "3"]


def test_a_forked_child_that_looks_at_a_future_of_its_parent_is_told_at_once_and_its_files_are_its_own(
    script: Script,
) -> None:
    process = script.start(
        """
        import asyncio, concurrent.futures, gc

        def parts(path):
            yield 1
            busy(path)

        async def await_it(each):
            await each

        async def iterate(futures):
            async for each in runner.select(futures):
                pass

        with Runner("parent") as runner:
            future, = start_busy(runner, 1)
            stream = runner.service(parts)(os.path.join(os.environ["SIGNS"], "stream"))
            assert next(stream).get(20) == 1
            looks = [
                lambda: future.get(), lambda: future.wait(), lambda: future.exception(), lambda: runner.wait([future]),
                lambda: runner.get([future]), lambda: future.as_concurrent().result(), lambda: future.cancel(),
                lambda: list(runner.select([future])), lambda: asyncio.run(await_it(future)),
                lambda: asyncio.run(iterate([future])), lambda: next(stream).get(),
                lambda: concurrent.futures.wait([future.as_concurrent()], timeout=0) and future.result(),
            ]
            for number, look in enumerate(looks):
                pid = os.fork()
                if pid == 0:
                    read_end, write_end = os.pipe()
                    os.set_blocking(read_end, False)
                    copies = [os.dup(write_end) for _ in range(60)]  # they get the numbers that were the engine's
                    said = "nothing"
                    try:
                        look()
                    except flamepy.EngineForked as error:
                        said = "told"
                    gc.collect()
                    try:
                        said += repr(os.read(read_end, 1000))
                    except BlockingIOError:
                        pass
                    print(number, said, flush=True)
                    os._exit(0)
                os.waitpid(pid, 0)
            future.cancel()
            stream.close()
            print(runner.service(echo)("parent").get(20))
        """
    )
    out, err = process.communicate(timeout=60)
    assert out.splitlines() == [*[f"{number} told" for number in range(12)], "parent"], err


def test_the_next_engine_removes_what_a_killed_one_left_and_nothing_of_those_that_live(
    script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = script.scratch / "flame-foreign"  # no engine of ours has made it
    foreign.mkdir()
    process = script.start(
        """
        runner = Runner("killed")
        runner.service(echo)(1).get(60)
        print("ready", flush=True)
        time.sleep(100)
        """
    )
    assert first_line(process) == "ready"
    engine = psutil.Process(process.pid)
    (zygote,) = engine.children()
    monkeypatch.setattr(tempfile, "tempdir", str(script.scratch))
    (theirs,) = set(script.scratch.glob("flame-*")) - {foreign}
    with Runner("neighbour") as neighbour:  # both live: each has its own
        assert neighbour.service(abs)(-1).get(BOUND_S) == 1
        assert theirs.is_dir()
        engine.suspend()  # it must not replace the zygote
        zygote.kill()
        psutil.wait_procs([zygote], timeout=0)
        process.kill()
        process.wait()
    assert (theirs / "apps").is_dir(), "a killed zygote removes nothing: what follows would show nothing"
    flamepy.shutdown()
    with Runner("next") as following:
        assert following.service(abs)(-2).get(BOUND_S) == 2
        assert reached(lambda: not theirs.exists())
    flamepy.shutdown()
    assert list(script.scratch.glob("flame-*")) == [foreign]
    foreign.rmdir()


def test_an_engine_that_had_to_give_up_is_told_by_what_is_old_and_replaced_for_what_is_new(script: Script) -> None:
    process = script.start(
        """
        import shutil, psutil
        runner = Runner("gives-up")
        service, python = runner.service(echo), sys.executable
        assert service(1).get(60) == 1
        ended = service(2)
        ended.wait()
        sys.executable = shutil.which("false")
        psutil.Process().children()[0].kill()  # the process that starts workers; none can take its place
        until(lambda: not runner.is_open())
        sys.executable = python
        uses = [
            lambda: service(1), lambda: service(ended), lambda: runner.service(echo), lambda: runner.put_object(1),
            lambda: runner.resize(1), runner.__enter__,
        ]
        for use in uses:
            try:
                use()
            except flamepy.EngineFailed as error:
                print(str(error).endswith("Create the Runner again: that starts a new engine."), end=" ")
        print(runner.is_open(), runner, ended.get(), flush=True)
        with Runner("gives-up") as new:
            fresh = new.service(echo)
            service.close()
            runner.close()
            print(fresh(2).get(60), new.application)
        """
    )
    out, err = process.communicate(timeout=120)
    assert err == ""
    assert out.splitlines() == [
        "True " * 6 + "False <Runner gives-up (its engine has ended) on embedded> 2",
        "2 gives-up",
    ]


def test_an_interpreter_that_cannot_start_workers_gives_a_clear_error_in_bounded_time(script: Script) -> None:
    process = script.start(
        """
        import shutil
        sys.executable = shutil.which("false")
        try:
            Runner("false").service(echo)(1).get(20)
        except flamepy.FlameError as error:
            print(type(error).__name__, error)
        """
    )
    out, err = process.communicate(timeout=60)
    assert out.startswith(
        "EngineFailed the engine had to end: the process that starts workers ended 3 times in a row (exit code 1)"
    )
    assert "import flamepy.worker.zygote" in out
    assert (err, process.returncode) == ("", 0)


def test_a_killed_zygote_is_replaced_and_the_next_call_works(
    an_engine_of_its_own: None, embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    with Runner("zygote") as runner:
        running = runner.service(wait_for_ever)(str(tmp_path / "begun"))
        until_exists(tmp_path / "begun")  # a call that has not begun would simply run elsewhere
        service = runner.service(abs)
        assert service(-1).get(BOUND_S) == 1
        zygote = psutil.Process(worker_pids(embedded)[0]).parent()
        assert zygote is not None
        zygote.kill()
        assert isinstance(running.exception(BOUND_S), flamepy.WorkerLost)
        assert service(-2).get(BOUND_S) == 2


def test_idle_workers_that_are_killed_cost_no_call(embedded: EmbeddedEngine) -> None:
    with Runner("idle") as runner:
        service = runner.service(abs)
        for turn in range(20):
            assert [future.get(BOUND_S) for future in map(service, range(4))] == [0, 1, 2, 3]
            for pid in worker_pids(embedded, lambda worker: worker.running is None):
                kill(pid)
            assert service(-turn).get(BOUND_S) == turn


def test_every_call_gets_an_answer_and_none_runs_twice_while_workers_are_killed(
    embedded: EmbeddedEngine, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.touch()
    with Runner("storm") as runner:
        service = runner.service(note)
        futures = [service(str(log), index) for index in range(3000)]
        for index in range(0, 3000, 200):
            futures[index].wait(BOUND_S)
            kill(worker_pids(embedded)[0])
        errors = [future.exception(BOUND_S) for future in futures]
    assert all(error is None or isinstance(error, flamepy.WorkerLost) for error in errors)
    noted = [int(line) for line in log.read_text().split()]
    assert len(noted) == len(set(noted)), "a call ran twice"
    assert {index for index, error in enumerate(errors) if error is None} <= set(noted)


def test_shutdown_answers_every_call_and_the_next_use_starts_afresh(project: Path, nothing_is_left: None) -> None:
    runner = Runner("shutdown")
    running = runner.service(wait_for_ever)("begun")
    flamepy.shutdown()
    assert isinstance(running.exception(BOUND_S), flamepy.CallCancelled)
    with pytest.raises(flamepy.FlameError, match="shut down"):
        runner.service(abs)
    with Runner("shutdown") as again:
        assert again.service(abs)(-1).get(BOUND_S) == 1


def test_a_program_in_the_temporary_directory_packs_no_files_of_engines(
    project: Path, nothing_is_left: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(project))
    (project / "flame-notes").mkdir()
    (project / "flame-notes" / "mine.txt").write_text("mine")
    with Runner("inside") as runner:
        for value in (1, 2):  # StaleCodeWarning is an error here
            assert runner.service(abs)(-value).get(BOUND_S) == value
        assert runner.stale_files() == []
        assert runner.package is not None
        assert runner.package.files == 1
    flamepy.shutdown()
    assert [path.name for path in project.iterdir()] == ["flame-notes"]
    shutil.rmtree(project / "flame-notes")


def test_what_is_older_than_a_shutdown_says_so_and_a_runner_tells_that_it_takes_no_calls(
    project: Path, nothing_is_left: None
) -> None:
    runner = Runner("before")
    service, counter = runner.service(abs), runner.service([1, 2])
    assert service(-1).get(BOUND_S) == 1
    assert (runner.is_open(), runner.is_closed(), repr(runner)) == (
        True,
        False,
        "<Runner before (open, 2 services) on embedded>",
    )
    flamepy.shutdown()
    after = Runner("before")  # an engine of its own: the old Runner does not take it for its own
    uses: list[Callable[[], object]] = [
        lambda: service(-1), lambda: counter.count(1), lambda: runner.service(abs), lambda: runner.put_object(1),
        lambda: runner.resize(1), runner.__enter__,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(
            flamepy.InvalidState, match=r"^flamepy was shut down, and all .*: create the Runner again\.$"
        ):
            use()
    assert (runner.is_open(), runner.services(), runner.unfinished()) == (False, [], [])
    assert repr(runner) == "<Runner before (its engine has ended) on embedded>"
    service.close()
    runner.close()
    assert after.is_open()
    assert after.service(abs)(-2).get(BOUND_S) == 2
    after.close()
    assert not after.is_open()


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs to mount a small /dev/shm")
def test_a_small_dev_shm_does_not_limit_values(script: Script) -> None:
    (script.directory / "values.py").write_text(
        PREAMBLE
        + textwrap.dedent(
            """
            import numpy
            assert os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize == 1 << 20
            with Runner("values") as runner:
                print(runner.service(echo)(numpy.ones(4_000_000)).get(20).sum())
            """
        )
    )
    process = script.start(
        """
        command = "mount -t tmpfs -o size=1m none /dev/shm && exec " + sys.executable + " values.py"
        os.execvp("unshare", ["unshare", "-m", "sh", "-c", command])
        """
    )
    out, err = process.communicate(timeout=60)
    if "unshare" in err or "mount" in err:
        pytest.skip("this machine does not let us mount: " + err.strip())
    assert (out, err) == ("4000000.0\n", "")


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # the last kill is not known here yet
        os.kill(pid, signal.SIGKILL)


def wait_for_ever(sign: str) -> None:
    Path(sign).touch()
    while True:
        time.sleep(60)


def note(path: str, index: int) -> None:
    """One atomic append, so that the file tells how often each call ran."""
    with open(path, "ab", buffering=0) as file:
        file.write(b"%d\n" % index)
