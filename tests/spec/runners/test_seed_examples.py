# SPDX-License-Identifier: Apache-2.0
"""The three examples of the founding document, typed as they stand, run as a user runs a script."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUNCTION = """\
from flamepy import Runner

def sum_fn(a: int, b: int) -> int:
    return a + b

with Runner("my-app") as rr:
    sum_service = rr.service(sum_fn)
    result = sum_service(1, 3)
    print(result.get())  # Output: 4
"""

COUNTER = """\
from flamepy.rl import Runner

class Counter:
    def __init__(self, initial: int = 0):
        self._count = initial
    
    def add(self, a: int) -> int:
        self._count = self._count + a
        return self._count
    
    def get_counter(self) -> int:
        return self._count

"""  # noqa: W293 - as it stands

STATE = """\
with Runner("counter-app") as rr:
    # Auto-instantiate class
    cnt_s = rr.service(Counter)
    cnt_s.add(1)
    cnt_s.add(3)
    print(cnt_s.get_counter().get())  # Output: 4
    
    # Use instance
    cnt_os = rr.service(Counter(10))
    cnt_os.add(1)
    cnt_os.add(3)
    print(cnt_os.get_counter().get())  # Output: 14
"""  # noqa: W293 - as it stands

FUTURES = """\
with Runner("counter-app") as rr:
    cnt_os = rr.service(Counter(10))
    cnt_os.add(1)
    cnt_os.add(3)
    res_r = cnt_os.get_counter()
    
    # Pass ObjectFuture as argument (efficient for large objects)
    cnt_os.add(res_r)
    res_r2 = cnt_os.get_counter()
    print(res_r2.get())  # Output: 28
"""  # noqa: W293 - as it stands


@pytest.mark.parametrize(
    ("source", "printed"),
    [
        pytest.param(FUNCTION, "4\n", id="function"),
        pytest.param(COUNTER + STATE, "4\n14\n", id="class with state"),
        pytest.param(COUNTER + FUTURES, "28\n", id="futures as arguments"),
    ],
)
def test_an_example_of_the_founding_document_prints_what_it_says(tmp_path: Path, source: str, printed: str) -> None:
    (tmp_path / "example.py").write_text(source)
    environ = {key: value for key, value in os.environ.items() if not key.startswith("FLAME_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "example.py"], cwd=tmp_path, env={**environ, "HOME": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")
