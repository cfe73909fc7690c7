# SPDX-License-Identifier: Apache-2.0
"""What calls print is kept with them, from Python and from below, and stays bounded."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from flamepy import Runner
from flamepy.engine.api import Engine
from tests.signs import until_exists, worker_pids

BOUND_S = 60.0


def speak(word: str) -> None:
    print(word)
    print(word, "to stderr", file=sys.stderr)
    os.write(1, f"{word} from below\n".encode())
    subprocess.run(["echo", word, "from a child"], check=True)


def spam(megabytes: int) -> int:
    line = "x" * 1023
    for _ in range(megabytes * 1024):
        print(line)
    print("the end")
    return megabytes


def mix(word: str) -> None:
    for number, stream in enumerate((sys.stdout, sys.stderr, sys.stdout)):
        print(word, number, file=stream)


def complain(times: int) -> None:
    for number in range(times):
        print("complaint", number, file=sys.stderr)


def fail_after_printing() -> None:
    print("about to fail")
    raise ValueError


def die_after_printing() -> None:
    print("about to die", flush=True)
    os._exit(1)


@pytest.mark.uplink
def test_each_call_has_its_own_output_wherever_it_was_written(engine: Engine) -> None:
    with Runner("output") as runner:
        speaker = runner.service(speak, autoscale=False)
        first, second = speaker("one"), speaker("two")
        runner.wait([first, second])
        for future, word in ((first, "one"), (second, "two")):
            assert sorted(future.output.split("\n")) == sorted(
                ["", word, f"{word} from a child", f"{word} from below", f"{word} to stderr"]
            )


def test_what_python_writes_to_stderr_is_told_apart_and_stays_in_its_place(engine: Engine) -> None:
    with Runner("output") as runner:
        first, second = runner.service(mix)("one"), runner.service(mix)("two")
        for future, word in ((first, "one"), (second, "two")):
            future.get(BOUND_S)
            assert future.output == f"{word} 0\n{word} 1\n{word} 2\n"
            assert future.stderr == f"{word} 1\n"


def test_of_much_on_stderr_the_end_is_kept(engine: Engine) -> None:
    with Runner("output") as runner:
        future = runner.service(complain)(100_000)
        future.get(BOUND_S)
        assert future.stderr.endswith("complaint 99999\n")
        assert len(future.stderr) <= 64 * 1024


def test_a_worker_that_prints_100_mb_costs_neither_memory_nor_the_result(engine: Engine) -> None:
    tracemalloc.start()
    try:
        with Runner("spam") as runner:
            future = runner.service(spam)(100)
            assert future.get(BOUND_S) == 100
            assert future.output.endswith("the end\n")
            assert len(future.output) <= 64 * 1024
            _, peak_bytes = tracemalloc.get_traced_memory()
            assert peak_bytes < 20 * 1024 * 1024
            workers = [psutil.Process(pid) for pid in worker_pids(engine)]
            assert all(worker.memory_info().rss < 200 * 1024 * 1024 for worker in workers)
    finally:
        tracemalloc.stop()


def test_a_failed_call_keeps_what_it_printed(engine: Engine) -> None:
    with Runner("output") as runner:
        for function, words in ((fail_after_printing, "about to fail"), (die_after_printing, "about to die")):
            future = runner.service(function)()
            assert future.exception(BOUND_S) is not None
            assert words in future.output


def _print_much_below(megabytes: int) -> None:
    for _ in range(megabytes):
        os.write(1, b"x" * (1 << 20))


def _print_much_in_a_child(megabytes: int) -> None:
    subprocess.run([sys.executable, "-c", f"for _ in range({megabytes}): print('x' * (1 << 20))"], check=True)


def _print_much_to_stderr_in_a_child(megabytes: int) -> None:
    program = f"import sys\nfor _ in range({megabytes}): print('x' * (1 << 20), file=sys.stderr)"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("print_much", [_print_much_below, _print_much_in_a_child, _print_much_to_stderr_in_a_child])
def test_what_others_than_python_write_is_bounded_on_disk_while_the_call_runs(
    engine: Engine, print_much: Callable[[int], None]
) -> None:
    most_bytes = 0

    def look() -> int:
        disk = os.statvfs(tempfile.gettempdir())
        return (disk.f_blocks - disk.f_bfree) * disk.f_frsize

    with Runner("much") as runner:
        service, speaker = runner.service(print_much), runner.service(speak)
        before_bytes = look()
        future = service(500)
        while not future.wait(0.01):
            most_bytes = max(most_bytes, look() - before_bytes)
        assert future.get() is None
        assert most_bytes < 250 << 20
        assert set(future.output) <= {"x", "\n"}
        assert len(future.output) == 64 * 1024
        after = speaker("after")
        after.wait(BOUND_S)
        assert "x" * 100 not in after.output
        assert after.output.startswith("after")


def _write_to_dev_stdout(sign: str, go: str) -> None:
    os.system("echo told; echo anew > /dev/stdout; echo further")
    Path(sign).touch()
    until_exists(Path(go))


def test_output_of_a_call_that_opens_dev_stdout_is_kept_from_there_on(engine: Engine, tmp_path: Path) -> None:
    with Runner("anew") as runner:
        assert runner.service(speak)("a longer text of the call before").exception(BOUND_S) is None
        for number in range(3):
            sign, go = tmp_path / f"sign-{number}", tmp_path / f"go-{number}"
            future = runner.service(_write_to_dev_stdout)(str(sign), str(go))
            until_exists(sign)
            assert future.output == "anew\nfurther\n"
            go.touch()
            assert future.wait(BOUND_S)
            assert future.output == "anew\nfurther\n"
