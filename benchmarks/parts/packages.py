# SPDX-License-Identifier: Apache-2.0
"""A Runner on a directory of 1,000 files and 50 MB, or of 10,000 small ones: first, and when nothing has changed."""

from __future__ import annotations

import os
import random
import time
from functools import partial
from pathlib import Path

import flamepy
from benchmarks.kit import Samples, main, seconds, warm_runner
from flamepy import Runner

DIRECTORIES, FILES_EACH, FILE_BYTES = 10, 100, 50_000
MANY_DIRECTORIES, SMALL_BYTES = 100, 1_700
MANY_REPEAT = 3  # each makes 10,000 files twice, which takes seconds where making a file is slow


def package(samples: Samples) -> None:
    root = Path("..", "files").resolve()
    _fill(root, DIRECTORIES, FILE_BYTES)
    for _ in range(samples.repeat):
        samples.add("reading them", seconds(lambda: _read(root)))
        samples.add("listing them", seconds(lambda: _list(root)))
        flamepy.shutdown()
        with warm_runner():  # the engine is there, and has not seen the directory
            samples.add("ours", _time_to_open(root))
            samples.add("unchanged", _time_to_open(root))


def many_files(samples: Samples) -> None:
    for number in range(min(MANY_REPEAT, samples.repeat)):
        root = Path("..", f"many{number}").resolve()
        samples.add("making them", seconds(partial(_fill, root, MANY_DIRECTORIES, SMALL_BYTES)))
        samples.add("reading them", seconds(partial(_read, root)))
        flamepy.shutdown()
        with warm_runner():  # the engine is there, and has not seen the directory
            began_s = time.perf_counter()
            with Runner("many", root=root) as runner:
                service = runner.service(abs)
                served_s = time.perf_counter()
                samples.add("ours", served_s - began_s)
                service(-1).get()
                samples.add("first call", time.perf_counter() - served_s)
                look = {"listing them": partial(seconds, partial(_list, root))}
                samples.take_turns({**look, "further": partial(seconds, partial(runner.service, abs))})


def _time_to_open(root: Path) -> float:
    """Until the Runner can be used; closing it again is not counted."""
    began_s = time.perf_counter()
    with Runner("files", root=root):
        return time.perf_counter() - began_s


def _fill(root: Path, directories: int, file_bytes: int) -> None:
    source = random.Random(1)
    for directory in range(directories):
        below = root / f"part{directory}"
        below.mkdir(parents=True)
        for number in range(FILES_EACH):
            (below / f"{number}.bin").write_bytes(source.randbytes(file_bytes))


def _read(root: Path) -> int:
    return sum(len(path.read_bytes()) for path in root.glob("*/*"))


def _list(root: Path) -> int:
    return sum(os.stat(os.path.join(below, name)).st_size for below, _, names in os.walk(root) for name in names)


if __name__ == "__main__":
    main(package, many_files)
