# SPDX-License-Identifier: Apache-2.0
"""A worker is killed from outside during a call: when does the caller know, and does the next call work?"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.kit import Samples, main, seconds, warm_pool, warm_runner

CALL_S = 60.0  # never reached
ANSWER_S = 10.0


def add(one: int, other: int) -> int:
    return one + other


def say_pid_and_stay(fifo: str) -> None:
    with Path(fifo).open("w") as pipe:
        pipe.write(str(os.getpid()))
    time.sleep(CALL_S)


def worker_killed(samples: Samples) -> None:
    from concurrent.futures import BrokenExecutor

    import flamepy

    for _ in range(samples.repeat):
        samples.add("bare process", _bare_end())
        with warm_runner() as runner:
            stay: Any = runner.service(say_pid_and_stay)
            sums: Any = runner.service(add)
            samples.add("ours", _kill(stay, lambda future: future.get(ANSWER_S), flamepy.WorkerLost))
            samples.add("next", float(sums(1, 2).get(ANSWER_S) == 3))
        with warm_pool() as pool:
            samples.add(
                "pool",
                _kill(
                    lambda fifo: pool.submit(say_pid_and_stay, fifo),
                    lambda future: future.result(ANSWER_S),
                    BrokenExecutor,
                ),
            )
            try:
                works = pool.submit(add, 1, 2).result(ANSWER_S) == 3
            except BrokenExecutor:
                works = False
            samples.add("next on pool", float(works))


def _kill(call: Callable[[str], Any], get: Callable[[Any], object], expected: type[BaseException]) -> float:
    """Seconds from the signal to the error in the caller's hand."""
    with tempfile.TemporaryDirectory() as directory:
        fifo = f"{directory}/pid"
        os.mkfifo(fifo)
        future = call(fifo)
        pid = int(Path(fifo).read_text())
        began_s = time.perf_counter()
        os.kill(pid, signal.SIGKILL)
        try:
            get(future)
        except expected:
            return time.perf_counter() - began_s
    raise AssertionError("the call of a killed worker has a result")


def _bare_end() -> float:
    """Seconds from the signal to the end of a process that does nothing."""
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        def end() -> None:
            process.kill()
            process.wait(ANSWER_S)

        return seconds(end)


if __name__ == "__main__":
    main(worker_killed)
