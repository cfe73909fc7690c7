# SPDX-License-Identifier: Apache-2.0
"""What the parts share: samples taken in turns, both systems warmed up, clocks. Light: the pool's workers load it."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy import Runner

WORKERS = 2
_WARM_S = 0.1  # both workers must be taken at one time
Subject = Callable[[], float]
"""Does the work once; returns its sample."""


class Samples:
    """Series of one measurement, written down after each sample: a part that is stopped keeps what it had."""

    def __init__(self, out: Path, repeat: int) -> None:
        self.repeat = repeat
        self._out = out
        self._series: dict[str, list[float]] = {}

    def add(self, series: str, value: float) -> None:
        self._series.setdefault(series, []).append(value)
        self._out.write_text(json.dumps(self._series))

    def take_turns(self, subjects: Mapping[str, Subject], repeat: int | None = None) -> None:
        """A B A B: what disturbs the machine disturbs all alike."""
        for _ in range(repeat or self.repeat):
            for series, subject in subjects.items():
                self.add(series, subject())


def main(*measurements: Callable[[Samples], None]) -> None:
    """Run the measurement that the command line names."""
    name, out, repeat = sys.argv[1:]
    {each.__name__: each for each in measurements}[name](Samples(Path(out), int(repeat)))


def seconds(work: Callable[[], object]) -> float:
    began_s = time.perf_counter()
    work()
    return time.perf_counter() - began_s


def median_seconds(work: Callable[[], object], times: int) -> float:
    return statistics.median(seconds(work) for _ in range(times))


def python_start() -> float:
    """``python -c pass``: what any new interpreter costs."""
    return seconds(lambda: subprocess.run([sys.executable, "-c", "pass"], check=True))


@contextlib.contextmanager
def warm_pool() -> Iterator[ProcessPoolExecutor]:
    """The standard library's pool with both workers started."""
    with ProcessPoolExecutor(WORKERS, mp_context=multiprocessing.get_context("spawn")) as pool:
        for each in [pool.submit(time.sleep, _WARM_S) for _ in range(WORKERS)]:
            each.result()
        yield pool


def warm(runner: Runner) -> None:
    """Start both workers of ``runner``."""
    service: Any = runner.service(time.sleep)
    runner.get([service(_WARM_S) for _ in range(WORKERS)])


@contextlib.contextmanager
def warm_runner(name: str = "bench") -> Iterator[Runner]:
    """Our Runner with both workers started."""
    from flamepy import Runner

    with Runner(name) as runner:
        warm(runner)
        yield runner
