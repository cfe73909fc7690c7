# SPDX-License-Identifier: Apache-2.0
"""Code of the project, wherever it runs, says which of the user's own files it came from."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flamepy import Runner, TaskFailed
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.protocol.frames import TICK_S
from flamepy.runner import RunnerService

MODULE = '''"""A helper."""
import inspect
import logging
import pathlib
import traceback
import warnings


def ratio(a, b):
    return a / b


def stale(a):
    return a / 0  # first version


class Warns:
    def __call__(self):
        warnings.warn("careful")


def log():
    logging.basicConfig(format="%(pathname)s:%(lineno)d %(message)s", force=True)
    logging.warning("looked at")


def here():
    return str(pathlib.Path(__file__).with_name("data.txt").read_text())


def source():
    return inspect.getsource(ratio)


def stack():
    return "".join(traceback.format_stack())
'''


@pytest.fixture
def runner(project: Path, embedded: EmbeddedEngine) -> Iterator[Runner]:
    (project / "helper.py").write_text(MODULE)
    (project / "package").mkdir()
    (project / "package" / "__init__.py").write_text("")
    (project / "package" / "inner.py").write_text(MODULE)
    (project / "data.txt").write_text("data beside the module")
    with Runner("origins") as runner:
        yield runner


def used(runner: Runner, module: str) -> RunnerService:
    """A service of the script that calls a function of that module by name."""

    def call(name: str, *arguments: object) -> object:
        import importlib

        return getattr(importlib.import_module(module), name)(*arguments)

    return runner.service(call)


@pytest.mark.parametrize(("module", "path"), [("helper", "helper.py"), ("package.inner", "package/inner.py")])
def test_tracebacks_warnings_and_logs_name_the_users_file(
    runner: Runner, project: Path, module: str, path: str
) -> None:
    file = str(project / path)
    service = used(runner, module)
    with pytest.raises(TaskFailed) as failed:
        service("ratio", 1, 0).get()
    assert failed.value.flame_frames[-1].filename == file
    assert failed.value.flame_frames[-1].line == "return a / b"
    assert f'File "{file}", line {failed.value.flame_frames[-1].lineno}, in ratio' in failed.value.flame_traceback
    warned = runner.service(_warns_of(module))()
    warned.wait()
    assert f"{file}:19: UserWarning: careful" in warned.output
    logged = service("log")
    logged.wait()
    assert f"{file}:24 looked at" in logged.output
    assert f'File "{file}"' in service("stack").get()


def test_files_beside_a_module_and_its_source_are_found(runner: Runner) -> None:
    service = used(runner, "helper")
    assert service("here").get() == "data beside the module"
    assert service("source").get() == "def ratio(a, b):\n    return a / b\n"


def test_a_line_that_was_edited_since_is_shown_as_it_has_run(runner: Runner, project: Path) -> None:
    service = used(runner, "helper")
    service("here").wait()
    (project / "helper.py").write_text(MODULE.replace("first version", "second version"))
    with pytest.raises(TaskFailed) as failed:
        service("stale", 1).get()
    assert failed.value.flame_frames[-1].line == "return a / 0  # first version"


def _warns_of(module: str) -> object:
    def call() -> None:
        import importlib
        import warnings

        warnings.simplefilter("always")
        importlib.import_module(module).Warns()()

    return call


def test_the_time_that_a_cold_worker_imports_is_told_apart(
    engine: Engine, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes_s = 0.2
    code = f"import time\nend_s = time.perf_counter() + {takes_s}\nwhile time.perf_counter() < end_s:\n    pass\n"
    (project / "slow_to_import.py").write_text(code + "def one():\n    return 1\ndef fail():\n    return 1 / 0\n")
    monkeypatch.syspath_prepend(project)
    module = importlib.import_module("slow_to_import")
    del sys.modules["slow_to_import"]
    monkeypatch.setitem(sys.modules, "slow_to_import", module)  # until the end of the test
    with Runner("cold") as runner:
        first = runner.service(module.fail)()
        assert isinstance(first.exception(), ZeroDivisionError)
        assert takes_s - TICK_S <= first.importing_s <= first.elapsed_s + TICK_S
        for function in (module.one, module.fail):  # one after the other, so by the same worker
            warm = runner.service(function)()
            warm.wait()
            assert warm.importing_s == 0.0


SCRIPT = """
import sys
from flamepy import Runner

def outer(x):
    def inner():
        return 1 / x  # the line
    return inner()

class Thing:
    def method(self):
        raise ValueError("no")  # of a class

if __name__ == "__main__":
    with Runner("script") as runner:
        for call in (runner.service(outer)(0), runner.service(Thing).method()):
            print(call.exception().flame_traceback)
"""


def test_functions_and_classes_of_a_script_show_their_lines(project: Path) -> None:
    (project / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, project / "script.py"], cwd=project, capture_output=True, text=True, timeout=100, check=True
    )
    assert f'File "{project}/script.py", line 7, in inner\n    return 1 / x  # the line\n' in done.stdout
    assert f'File "{project}/script.py", line 12, in method\n    raise ValueError("no")  # of a class\n' in done.stdout
