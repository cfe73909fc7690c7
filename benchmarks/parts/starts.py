# SPDX-License-Identifier: Apache-2.0
"""How long it takes until something works: a program, a further Runner, an import, the extension in IPython."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.kit import Samples, main, python_start, seconds, warm_runner

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
FIRST_ANSWER_S = 30.0

IMPORT = """
import time
began_s = time.perf_counter()
import {module}
print(time.perf_counter() - began_s)
"""
LOAD = """
import time
began_s = time.perf_counter()
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
loaded_s = time.perf_counter()
shell.run_line_magic("load_ext", "flame_jupyter")
print(loaded_s - began_s, time.perf_counter() - loaded_s)
"""


def increment(number: int) -> int:
    return number + 1


def first_result(samples: Samples) -> None:
    for name in ("first_flame.py", "first_pool.py"):
        shutil.copy(SCRIPTS / name, name)
    Path("data.csv").write_text("a,b\n1,2\n")
    for series in ("pool", "ours", "python -c pass"):  # files and bytecode are in the page cache afterwards
        _sample_of_start(series)
    samples.take_turns(
        {
            "pool": lambda: _sample_of_start("pool"),
            "ours": lambda: _sample_of_start("ours"),
            "python -c pass": python_start,
        }
    )


def _sample_of_start(series: str) -> float:
    if series == "python -c pass":
        return python_start()
    script = "first_flame.py" if series == "ours" else "first_pool.py"
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        took_s = seconds(process.stdout.readline)
        if process.wait(FIRST_ANSWER_S) != 0:
            raise RuntimeError(f"{script} ended with {process.returncode}: run it by hand")
    return took_s


def further_runner(samples: Samples) -> None:
    from flamepy import Runner

    numbers = itertools.count()

    def ours() -> float:
        began_s = time.perf_counter()
        with Runner(f"further{next(numbers)}") as runner:
            service: Any = runner.service(increment)
            assert service(1).get() == 2
            return time.perf_counter() - began_s

    with warm_runner():
        pass
    ours()
    samples.take_turns({"ours": ours, "python -c pass": python_start})


def import_flamepy(samples: Samples) -> None:
    def time_to_import(module: str) -> float:
        return _numbers_of(IMPORT.format(module=module))[0]

    time_to_import("flamepy")  # writes the bytecode
    samples.take_turns(
        {
            "python -c pass": python_start,
            "pool": lambda: time_to_import("concurrent.futures.process"),
            "ours": lambda: time_to_import("flamepy"),
        }
    )


def load_extension(samples: Samples) -> None:
    _numbers_of(LOAD)
    for _ in range(samples.repeat):
        shell_s, ours_s = _numbers_of(LOAD)
        samples.add("IPython", shell_s)
        samples.add("ours", ours_s)


def _numbers_of(code: str) -> list[float]:
    done = subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE, text=True)
    return [float(number) for number in done.stdout.split()]


if __name__ == "__main__":
    main(first_result, further_runner, import_flamepy, load_extension)
