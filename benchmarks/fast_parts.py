# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks.fast_parts [REPEAT]``: what each fast part of the embedded engine wins, against its twin.

For each part the rows that it is there for are measured in turns, on engines with all parts and on engines without
this one: ABAB, each time on a new engine. A part that wins less than a tenth of its rows should go.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.kit import WORKERS, median_seconds, warm
from benchmarks.parts.arrays import NUMBERS
from benchmarks.parts.calls import BUSY_CALLS, OUTSTANDING, ended_while_busy, nap, noop
from flamepy import Runner
from flamepy.engine.current import use_engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.local.fast_parts import FAST, FastParts


def round_trip_s(runner: Runner) -> float:
    service: Any = runner.service(noop)
    return median_seconds(lambda: service().get(), 500)


def outstanding_s(runner: Runner) -> float:
    """Of one call, of many that are asked for before the first result is."""
    service: Any = runner.service(noop)
    return median_seconds(lambda: runner.get([service() for _ in range(OUTSTANDING)]), 5) / OUTSTANDING


def busy_caller_s(runner: Runner) -> float:
    """Between the ends of two calls of a millisecond, while this thread computes."""
    service: Any = runner.service(nap)
    runner.get([service() for _ in range(20)])
    return 1 / ended_while_busy([service() for _ in range(BUSY_CALLS)])


def result_s(runner: Runner) -> float:
    """Of a call that gives 100 MB, which are dropped before the next one."""
    service: Any = runner.service(np.full)
    return median_seconds(lambda: service(NUMBERS, 1.5).get(), 5)


def argument_s(runner: Runner) -> float:
    """Of a call that takes 100 MB, by value."""
    service: Any = runner.service(np.size)
    array = np.full(NUMBERS, 1.5)

    def call() -> None:
        array[0] += 1  # else the same content is stored once
        service(array).get()

    return median_seconds(call, 5)


Measure = Callable[[Runner], float]
PARTS: dict[str, tuple[FastParts, dict[str, Measure]]] = {
    "has_waiters_lead": (
        replace(FAST, has_waiters_lead=False), {"round trip": round_trip_s, "outstanding": outstanding_s},
    ),
    "reuses_memory": (replace(FAST, reuses_memory=False), {"100 MB result": result_s, "100 MB argument": argument_s}),
    "ahead_s": (replace(FAST, ahead_s=0.0), {"outstanding": outstanding_s, "busy caller": busy_caller_s}),
}  # fmt: skip


def measured_s(parts: FastParts, measure: Measure) -> float:
    engine = EmbeddedEngine(workers=WORKERS, parts=parts)
    try:
        with use_engine(engine), Runner("bench") as runner:
            warm(runner)
            return measure(runner)
    finally:
        engine.close()


def main(repeat: int) -> None:
    print(f"{'part':<18}{'row':<17}{'with':>12}{'without':>12}{'without / with':>17}")
    for name, (without, rows) in PARTS.items():
        for row, measure in rows.items():
            pairs = [(measured_s(FAST, measure), measured_s(without, measure)) for _ in range(repeat)]
            ours, twins = (statistics.median(each) for each in zip(*pairs, strict=True))
            ratio = statistics.median(twin / our for our, twin in pairs)
            print(f"{name:<18}{row:<17}{ours * 1e6:>9,.1f} us{twins * 1e6:>9,.1f} us{ratio:>17.2f}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="bench-") as project:
        os.chdir(project)
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
