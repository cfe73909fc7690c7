# SPDX-License-Identifier: Apache-2.0
"""Runs one measurement in a fresh interpreter, in a temporary directory of its own, and ends all that it started."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PARTS = ROOT / "benchmarks" / "parts"
_PR_SET_CHILD_SUBREAPER = 36
_END_S = 5.0  # killed processes are gone long before


@dataclass(frozen=True)
class Outcome:
    """samples: series -> values, as far as it came; error: the end of what it printed, when it failed."""

    samples: dict[str, list[float]] = field(default_factory=dict)
    error: str = ""


def adopt_orphans() -> None:
    """Processes whose parent ends become ours, so that they can be found and ended. Linux only; else a no-op."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(measurement: str, *, repeat: int, limit_s: float) -> Outcome:
    """Run ``part.function``. Never raises for what happens inside; ``limit_s`` bounds it."""
    part, function = measurement.split(".")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as name:
        place = Path(name)
        for each in ("project", "home", "tmp"):
            (place / each).mkdir()
        out = place / "samples.json"
        command = [sys.executable, str(PARTS / f"{part}.py"), function, str(out), str(repeat)]
        with (place / "log").open("w+") as log:
            process = subprocess.Popen(
                command,
                cwd=place / "project",
                env=_environment(place),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
            try:
                code = process.wait(limit_s)
                error = "" if code == 0 else f"ended with {code}"
            except subprocess.TimeoutExpired:
                error = f"took more than {limit_s:.0f} s"
            finally:
                _end_children()
            log.seek(0)
            lines = log.read().strip().splitlines()
        if error and lines:
            error += f": {lines[-1]}"
        samples = json.loads(out.read_text()) if out.exists() else {}
    return Outcome(samples, error)


def _environment(place: Path) -> dict[str, str]:
    """The caller's, without any configuration of ours, and with nothing that reaches outside ``place``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("FLAME_", "PYTHON"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),  # the parts import benchmarks.kit
        "FLAME_WORKERS": "2",
        "HOME": str(place / "home"),
        "IPYTHONDIR": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "OPENBLAS_NUM_THREADS": "1",  # idle BLAS threads are neither ours nor the pool's
    }


def _end_children() -> None:
    """End every process below this one: only the measurement, and what it left."""
    children = psutil.Process().children(recursive=True)
    while children:
        for child in children:
            child.kill()
        _, alive = psutil.wait_procs(children, timeout=_END_S)
        if alive:
            raise RuntimeError(f"cannot end {alive}: end them by hand, then start again")
        children = psutil.Process().children(recursive=True)  # orphans of those come to us
