# SPDX-License-Identifier: Apache-2.0
"""``make bench``, or ``python -m benchmarks``: measure, judge, print one table."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import time
from pathlib import Path

from benchmarks.process import Outcome, adopt_orphans, run
from benchmarks.rows import chosen, measurements_of
from benchmarks.table import limits, summary, table
from benchmarks.verdict import judge, median

MEASUREMENT_LIMIT_S = 60.0  # none takes a third of it on two idle CPUs
RUN_LIMIT_S = 180.0  # no measurement starts later than this: four minutes at most
# the series that are physical limits, and a measurement that takes them
LIMITS = {
    "memcpy of 100 MB": ("arrays.argument", "memcpy"),
    "socketpair round trip on one CPU": ("calls.round_trip", "socketpair, one CPU"),
    "across CPUs": ("calls.round_trip", "socketpair, two CPUs"),
    "bare worker's round trip": ("calls.round_trip", "bare worker"),
    "python -c pass": ("starts.further_runner", "python -c pass"),
}


def main() -> int:
    options = _options()
    try:
        rows = chosen(options.only)
    except ValueError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2
    adopt_orphans()
    machine = _machine()
    load_before = os.getloadavg()[0]
    began_s = time.monotonic()
    outcomes: dict[str, Outcome] = {}
    for measurement in measurements_of(rows):
        spent_s = time.monotonic() - began_s
        print(f"{spent_s:4.0f} s  {measurement}", file=sys.stderr, flush=True)
        outcomes[measurement] = (
            run(measurement, repeat=options.repeat, limit_s=MEASUREMENT_LIMIT_S)
            if spent_s < RUN_LIMIT_S
            else Outcome(error=f"not started: {RUN_LIMIT_S:.0f} s had passed")
        )
    machine["load before, after"] = f"{load_before:.1f}, {os.getloadavg()[0]:.1f}"
    machine["took"] = f"{time.monotonic() - began_s:.0f} s"
    judged = [judge(row, outcomes[row.measurement].samples, outcomes[row.measurement].error) for row in rows]
    limit_medians = {
        name: value
        for name, (measurement, series) in LIMITS.items()
        if measurement in outcomes and (value := median(outcomes[measurement].samples, series)) is not None
    }
    print("\n".join(f"{name}: {value}" for name, value in machine.items()))
    if limit_medians:
        print(limits(limit_medians))
    print()
    print(table(judged))
    print()
    print(summary(judged))
    if options.json is not None:
        samples = {measurement: outcome.samples for measurement, outcome in outcomes.items()}
        errors = {measurement: outcome.error for measurement, outcome in outcomes.items() if outcome.error}
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps({"machine": machine, "samples": samples, "errors": errors}, indent=1))
    return 1 if any(each.ours is None for each in judged) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Us, the standard pool, the machine.")
    parser.add_argument("--only", metavar="ROW,...", help="rows by their keys (benchmarks/rows.py); default: all")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="samples a series (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample there")
    options = parser.parse_args()
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    return options


def _machine() -> dict[str, str]:
    from importlib.metadata import version

    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "cloudpickle"))
    return {
        "date": f"{dt.datetime.now(dt.timezone.utc):%Y-%m-%d %H:%M} UTC",
        "machine": f"{_cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}",
        "versions": f"Python {platform.python_version()}, {libraries}",
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # no Linux
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    sys.exit(main())
