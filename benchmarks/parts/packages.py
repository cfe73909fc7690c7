# SPDX-License-Identifier: Apache-2.0
"""A Runner on a directory of 1,000 files and 50 MB: the first time, and again when nothing has changed."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import flamepy
from benchmarks.kit import Samples, main, seconds, warm_runner
from flamepy import Runner

DIRECTORIES, FILES_EACH, FILE_BYTES = 10, 100, 50_000


def package(samples: Samples) -> None:
    root = Path("..", "files").resolve()
    _fill(root)
    for _ in range(samples.repeat):
        samples.add("reading them", seconds(lambda: _read(root)))
        samples.add("listing them", seconds(lambda: _list(root)))
        flamepy.shutdown()
        with warm_runner():  # the engine is there, and has not seen the directory
            samples.add("ours", _time_to_open(root))
            samples.add("unchanged", _time_to_open(root))


def _time_to_open(root: Path) -> float:
    """Until the Runner can be used; closing it again is not counted."""
    began_s = time.perf_counter()
    with Runner("files", root=root):
        return time.perf_counter() - began_s


def _fill(root: Path) -> None:
    source = random.Random(1)
    for directory in range(DIRECTORIES):
        below = root / f"part{directory}"
        below.mkdir(parents=True)
        for number in range(FILES_EACH):
            (below / f"{number}.bin").write_bytes(source.randbytes(FILE_BYTES))


def _read(root: Path) -> int:
    return sum(len(path.read_bytes()) for path in root.glob("*/*"))


def _list(root: Path) -> int:
    return sum(os.stat(os.path.join(below, name)).st_size for below, _, names in os.walk(root) for name in names)


if __name__ == "__main__":
    main(package)
