# SPDX-License-Identifier: Apache-2.0
"""Whatever a program's surroundings are like, its workers import, see and obey what the program itself does."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import flamepy
from tests.conftest import LEAVE_S

PREAMBLE = """
import os, sys
from flamepy import FlameError, Runner

def same(value):
    return value

def call(function, *arguments):
    with Runner("surroundings") as runner:
        return runner.service(function)(*arguments).get(60)
"""


class Program:
    """A script that lies in ``bin`` and runs in ``work``, with a temporary directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.bin, self.work = directory / "bin", directory / "work"
        for each in (self.bin, self.work):
            each.mkdir()
        # Its path is short: sockets of multiprocessing lie in it, whose paths may have 107 characters.
        self.scratch = Path(tempfile.mkdtemp())

    def run(self, body: str, *options: str, preamble: str = PREAMBLE, **environ: str) -> str:
        """What the program prints; standard error where it prints nothing else."""
        (self.bin / "program.py").write_text(preamble + textwrap.dedent(body))
        return self.run_command([sys.executable, *options, str(self.bin / "program.py")], **environ)

    def run_command(self, command: list[str], **environ: str) -> str:
        done = subprocess.run(
            command,
            cwd=self.work,
            env={**os.environ, "TMPDIR": str(self.scratch), **environ},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        return (done.stdout or done.stderr).strip()

    def processes(self) -> Iterator[psutil.Process]:
        """What the program and its children have started and is alive, whoever its parent is by now."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR") == str(self.scratch):
                    yield process


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    program = Program(tmp_path)
    yield program
    _, alive = psutil.wait_procs(list(program.processes()), timeout=LEAVE_S)
    assert not alive
    assert os.listdir(program.scratch) == []


# --- open files -------------------------------------------------------------------------------------------------------


def test_a_program_that_may_open_few_files_gets_values_or_errors_that_name_the_limit(program: Program) -> None:
    body = """
    import contextlib, resource
    import flamepy
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    for free in range(20):
        taken = []
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(free):
            os.close(taken.pop())
        try:
            told = call(same, "value")
        except FlameError as error:
            told = "refused" if "ulimit -n" in str(error) else str(error)
        flamepy.shutdown()
        for fd in taken:
            os.close(fd)
        print(told, len(os.listdir("/proc/self/fd")) < 10)
    """
    told = program.run(body).splitlines()
    assert set(told) == {"refused True", "value True"}
    assert told == sorted(told)


def test_a_program_that_has_used_up_a_limit_that_can_be_raised_gets_values(program: Program) -> None:
    body = """
    import contextlib, resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    import flamepy.engine.local.engine, flamepy.engine.local.workers.startup  # imports need files
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
    with contextlib.suppress(OSError):
        while True:
            os.open(os.devnull, os.O_RDONLY)
    print(call(same, "value"))
    """
    assert program.run(body) == "value"


# --- the environment and the import path, which may be long -----------------------------------------------------------


def test_a_big_environment_reaches_the_workers(program: Program) -> None:
    body = """
    for number in range(10):
        os.environ[f"BIG_{number}"] = str(number) * 100_000
    os.environb[b"ODD"] = b"\\xff"
    os.environ["HUGE"] = "x" * 1_000_000  # longer than a process may be started with
    def look():
        import os
        told = [os.environ[f"BIG_{number}"] == str(number) * 100_000 for number in range(10)]
        return told, len(os.environ["HUGE"]), os.environb[b"ODD"]
    first = call(look)
    os.environ["LATE"] = "y" * 300_000
    with Runner("late") as runner:
        print(first, runner.service(lambda: len(__import__("os").environ["LATE"]))().get(60))
    """
    assert program.run(body) == f"({[True] * 10}, 1000000, b'\\xff') 300000"


def test_an_environment_of_many_variables_reaches_the_workers(program: Program) -> None:
    body = """
    for number in range(2000):
        os.environ[f"MANY_{number}"] = "m" * 2000  # together more than a process may be started with
    print(call(lambda: sum(name.startswith("MANY_") for name in os.environ)))
    """
    assert program.run(body) == "2000"


def test_a_worker_has_the_environment_that_the_program_has_when_it_starts(program: Program) -> None:
    body = """
    def look():
        import os, subprocess
        seen = dict(os.environb)  # and what programs of a call get is the same
        inherited = subprocess.run(["env", "-0"], capture_output=True).stdout.split(b"\\0")
        told = dict(each.split(b"=", 1) for each in inherited if each)
        assert told == seen, (told, seen)
        return sorted((key, value) for key, value in seen.items() if key.startswith(b"X_"))
    os.environ.update(X_STAYS="1", X_GOES="1", X_CHANGES="1")
    call(look)
    del os.environ["X_GOES"]
    os.environ.update(X_CHANGES="2", X_COMES="2")
    print(call(look))
    """
    assert program.run(body) == "[(b'X_CHANGES', b'2'), (b'X_COMES', b'2'), (b'X_STAYS', b'1')]"


def test_a_long_import_path_reaches_the_workers(program: Program) -> None:
    body = """
    import pathlib
    def look():
        import sys
        return len(sys.path)
    before = call(look)
    sys.path += [f"/nowhere/{number}" + "p" * 200 for number in range(1500)]
    class Entry(str):  # workers do not know it
        pass
    sys.path.insert(0, Entry("/entry"))
    sys.path.insert(0, pathlib.Path.cwd())
    sys.path += ["/not-utf-8\\udcff", None]
    if sys.version_info >= (3, 11):  # 3.10 itself cannot import any more then
        sys.path.append(b"/bytes")
    print(call(look) - before)
    """
    assert program.run(body) == "1502"


# --- files that are named like modules --------------------------------------------------------------------------------

NAMES = ["json", "re", "enum", "types", "random", "statistics", "socket", "pickle", "cloudpickle", "yaml", "flamepy"]


def test_a_file_in_the_place_of_a_library_that_calls_need_is_named(program: Program) -> None:
    (program.work / "cloudpickle.py").write_text("x = 1\n")
    said = program.run_command([sys.executable, "-c", PREAMBLE + "print(call(same, 1))"])
    assert f"{program.work}/cloudpickle.py takes the place of the installed cloudpickle" in said.splitlines()[-1]
    assert "rename it" in said.splitlines()[-1]


@pytest.mark.parametrize("as_package", [False, True], ids=["files", "directories"])
def test_a_program_that_lies_elsewhere_never_imports_files_of_its_working_directory(
    program: Program, as_package: bool
) -> None:
    for name in NAMES:
        file = program.work / name / "__init__.py" if as_package else program.work / f"{name}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"raise RuntimeError('this is {name} of the working directory')\n")
    (program.work / "helper.py").write_text("VALUE = 7\n")
    body = """
    def look():
        import helper, json, random, socket, statistics, yaml
        return helper.VALUE, random.choice([1])
    print(call(look))
    """
    assert program.run(body) == "(7, 1)"


def test_a_program_may_run_in_the_directory_that_flamepy_itself_lies_in(program: Program) -> None:
    body = """
    import pathlib, tempfile
    import flamepy
    os.chdir(pathlib.Path(flamepy.__file__).parents[1])  # as in a checkout that is installed as it is
    with tempfile.TemporaryDirectory() as root, Runner("checkout", root=root) as runner:
        print(runner.service(same)("works").get(60))
    """
    assert program.run(body) == "works"


def test_a_file_of_the_project_does_not_take_the_place_of_a_module_that_the_program_has_loaded(
    program: Program,
) -> None:
    (program.work / "random.py").write_text("raise RuntimeError('this is a file of the project')\n")
    (program.work / "helper.py").write_text("VALUE = 7\n")
    body = """
    import random
    sys.path.insert(0, "")
    import helper
    def look():
        import random, helper
        return random.choice([1]), helper.VALUE
    print(call(look))
    """
    assert program.run(body) == "(1, 7)"


# --- the import path changes ------------------------------------------------------------------------------------------


def test_new_services_import_from_where_the_program_imports_by_now(program: Program, tmp_path: Path) -> None:
    for place in ("first", "second", "third"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"of_{place}.py").write_text(
            f"class Thing:\n    place = {place!r}\n\nclass Error(ValueError):\n    pass\n\n"
            f"def fail():\n    raise Error({place!r})\n"
        )
        (tmp_path / place / "of_all.py").write_text(f"PLACE = {place!r}\n")
    body = """
    import shutil
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    shutil.make_archive(here + "/packed", "zip", here + "/third")
    with Runner("path") as runner:
        places = [runner.service(same)("none").get(60)]
        for place, at in (("first", 0), ("second", len(sys.path)), ("packed.zip", 0)):
            sys.path.insert(at, f"{here}/{place}")
            module = __import__("of_" + place.replace("packed.zip", "third"))
            places.append(runner.service(lambda thing: thing.place)(module.Thing()).get(60))
            try:
                runner.service(module.fail)().get(60)
            except module.Error as error:
                places.append(str(error).rpartition(": ")[2])
        places.append(runner.service(lambda: __import__("of_all").PLACE)().get(60))
        print(places, __import__("of_all").PLACE)
    """
    assert program.run(body) == f"{['none', *['first'] * 2, *['second'] * 2, *['third'] * 2, 'third']} third"


def test_relative_entries_mean_for_workers_what_they_mean_here(program: Program) -> None:
    for place in (program.work / "inside", program.work.parent / "beside"):
        place.mkdir()
        (place / f"of_{place.name}.py").write_text(f"PLACE = {place.name!r}\n")
    body = """
    sys.path[:0] = ["./inside", "../beside"]
    import of_beside, of_inside
    def look():
        import of_beside, of_inside
        return of_beside.PLACE, of_inside.PLACE
    print(call(look), call(lambda: of_beside.PLACE))
    """
    assert program.run(body) == "('beside', 'inside') beside"


def test_workers_have_the_flamepy_of_the_program_also_from_its_working_directory(program: Program) -> None:
    (program.work / "flamepy").symlink_to(Path(flamepy.__file__).parent)
    (program.work / "statistics.py").write_text("raise RuntimeError('nobody asked for this')\n")
    body = """
    import flamepy
    def look():
        import flamepy
        return flamepy.__file__
    with Runner("own", root=os.path.dirname(os.getcwd()) + "/bin") as runner:
        print(runner.service(look)().get(60) == flamepy.__file__, os.getcwd() in flamepy.__file__)
    """
    assert program.run_command([sys.executable, "-c", PREAMBLE + textwrap.dedent(body)]) == "True True"


def test_a_working_directory_that_is_removed_ends_no_service_and_new_runners_say_so(program: Program) -> None:
    body = """
    here = os.getcwd() + "/gone"
    os.mkdir(here)
    os.chdir(here)
    with Runner("gone") as runner:
        service = runner.service(same)
        first = service(1).get(60)
        os.rmdir(here)
        runner.resize(3)
        print(first, [each.get(60) for each in [service(number) for number in range(20)]] == list(range(20)))
    try:
        Runner("later")
    except FlameError as error:
        print(error)
    """
    said = program.run(body).splitlines()
    assert said[0] == "1 True"
    assert said[1].startswith("the working directory of this process has been removed: change to one that exists")


# --- children of multiprocessing --------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_of_multiprocessing_calls_what_its_script_defines(program: Program, method: str) -> None:
    body = """
    import concurrent.futures, dataclasses, enum, multiprocessing, warnings

    warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

    class Color(enum.Enum):
        RED = 1

    @dataclasses.dataclass
    class Data:
        x: int

    class Trouble(Exception):
        pass

    class Counter:
        def __init__(self):
            self.count = 0
        def add(self):
            self.count += 1
            return Data(self.count)

    def fail():
        raise Trouble("there")

    def in_child(_):
        try:
            call(fail)
        except Trouble as error:
            trouble = "there" in str(error)
        with Runner("child") as runner:
            counter = runner.service(Counter)
            counter.add()
            return (
                call(same, Color.RED) is Color.RED,
                call(lambda: same(Data(2))) == Data(2),
                trouble,
                counter.add().get(60).x,
            )

    if __name__ == "__main__":
        context = multiprocessing.get_context(METHOD)
        with context.Pool(1) as pool:
            print(pool.map(in_child, [1]))
        with concurrent.futures.ProcessPoolExecutor(1, context) as pool:
            print(list(pool.map(in_child, [1])))
    """
    expected = "[(True, True, True, 2)]"
    assert program.run(body.replace("METHOD", repr(method))) == f"{expected}\n{expected}"


# --- a call at import -------------------------------------------------------------------------------------------------

JOBS = """
from flamepy import Runner
class Thing:
    def get(self):
        return self
def work(value=None):
    return value
with Runner("jobs") as runner:
    print(runner.service({what}).get(60))
"""


@pytest.mark.parametrize(
    "what", ["work)(1", "Thing()).get(", "lambda thing: 1)(Thing()", "lambda: __import__('jobs').work(1))("]
)
def test_a_module_that_makes_calls_at_its_top_level_is_refused_with_the_guard(program: Program, what: str) -> None:
    (program.work / "jobs.py").write_text(JOBS.format(what=what))
    said = program.run_command([sys.executable, "-c", "import jobs"])
    assert "the module jobs makes calls while it is imported" in said
    assert 'if __name__ == "__main__":' in said.splitlines()[-1]


def test_a_module_may_open_its_runner_while_it_is_imported(program: Program) -> None:
    (program.work / "jobs.py").write_text(
        "from flamepy import Runner\nrunner = Runner('jobs')\ndef work(value):\n    return value\n"
    )
    command = "import jobs; print(jobs.runner.service(jobs.work)(7).get(60)); jobs.runner.close()"
    assert program.run_command([sys.executable, "-c", command]) == "7"


# --- the interpreter --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("-O",), ("-W", "error"), ("-X", "utf8"), ("-X", "dev"), ("-I",), ("-E",)])
def test_workers_run_with_the_options_of_the_interpreter(program: Program, options: tuple[str, ...]) -> None:
    body = """
    def look():
        import sys
        flags = [getattr(sys.flags, name, None) for name in (
            "optimize", "isolated", "ignore_environment", "no_user_site", "dev_mode", "utf8_mode", "safe_path")]
        return flags, sys.warnoptions, dict(sys._xoptions)
    if __name__ == "__main__":
        print(call(look) == look() or (call(look), look()))
    """
    assert program.run(body, *options) == "True"


@pytest.mark.parametrize(
    ("setup", "words"),
    [
        ("sys.executable = '/nowhere/python'", "cannot start a Python for workers: /nowhere/python"),
        ("sys.executable = ''", "is a frozen program"),
        ("sys.frozen = True", "is a frozen program"),
        ("sys.executable = os.path.join(os.path.dirname(__file__), 'again')", "ended 3 times in a row"),
    ],
)
def test_where_no_python_can_be_started_one_error_says_so_and_nothing_is_left(
    program: Program, setup: str, words: str
) -> None:
    again = program.bin / "again"
    again.write_text(
        f'#!/bin/sh\necho x >> "{program.bin}/count"\nexec "{sys.executable}" "{program.bin}/program.py"\n'
    )
    again.chmod(0o755)
    body = f"""
    {setup}
    try:
        print(call(same, 1))
    except FlameError as error:
        print(error)
    """
    assert words in program.run(body)
    count = program.bin / "count"
    assert not count.exists() or len(count.read_text().split()) <= 3


@pytest.mark.parametrize("way_out", ["wait", "leave"])
def test_a_program_in_the_place_of_python_that_neither_ends_nor_answers_is_ended(
    program: Program, way_out: str
) -> None:
    silent = program.bin / "silent"
    silent.write_text("#!/bin/sh\nsleep 600\n")  # it has a child, as a launcher of something big has
    silent.chmod(0o755)
    body = f"""
    from flamepy.clock import monotonic_s
    from flamepy.engine.current import existing_engines
    from flamepy.engine.local.workers.pool import START_S

    sys.executable = {str(silent)!r}
    try:
        with Runner("silent") as runner:
            future = runner.service(same)(1)
            loop = existing_engines()[0]._loop
            while {way_out!r} == "wait" and not future.done():  # the time is over, as far as the pool knows
                loop.post(lambda: loop.pool.run_timers(monotonic_s() + START_S))
                future.wait(0.05)
            if {way_out!r} == "leave":
                runner.close(cancel=True)
                print("left")
            print(future.get(60))
    except FlameError as error:
        print(error)
    """
    said = program.run(body)
    if way_out == "leave":
        assert said.splitlines() == [
            "left",
            "same was cancelled: it was cancelled before it ran. Call it again if you want its result.",
        ]
    else:
        assert f"{silent} was started to run workers, and has not begun after 60 s: it is no Python" in said
    assert not [each for each in psutil.process_iter(["cmdline"]) if str(silent) in (each.info["cmdline"] or [])]
