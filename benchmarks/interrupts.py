# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks.interrupts [COUNT]``: how long the cell of a notebook takes to end after an interrupt.

A real kernel waits for a call in each of the ways there are, is interrupted COUNT times (50), and the median and the
95th percentile are printed beside those of a cell that only sleeps, which is what the kernel itself needs.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from tests.notebook.interrupts import CELLS, PACKAGING, interrupted, prepare
from tests.notebook.kernels import Kernel

SLEEP = ("ipykernel/zmqshell.py:run_cell", "import time; time.sleep(60)")  # what the kernel alone takes
PACKAGE_FILES = 60  # of a megabyte that does not compress: packaging them takes seconds


def main(count: int) -> None:
    with tempfile.TemporaryDirectory() as directory:
        project, home = Path(directory, "project"), Path(directory, "home")
        for each in (project, home):
            each.mkdir()
        kernel = Kernel(project, home)
        try:
            prepare(kernel)
            _tell("a cell that sleeps", _felt_s(kernel, *SLEEP, count))
            for way, (place, cell) in CELLS.items():
                _tell(way, _felt_s(kernel, place, f"call = stuck()\n{cell}", count))
            for number in range(PACKAGE_FILES):
                (project / f"{number}.bin").write_bytes(os.urandom(1_000_000))
            kernel.run("%flame_runner stop --cancel").check()
            _tell("packaging", _felt_s(kernel, *PACKAGING, count))
        finally:
            kernel.end()


def _felt_s(kernel: Kernel, place: str, cell: str, count: int) -> list[float]:
    return sorted(interrupted(kernel, place, cell)[1] for _ in range(count))


def _tell(way: str, felt_s: list[float]) -> None:
    median, p95 = felt_s[len(felt_s) // 2], felt_s[int(len(felt_s) * 0.95 + 0.5) - 1]
    print(f"{way:22} median {median * 1000:6.1f} ms   p95 {p95 * 1000:6.1f} ms", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
