# SPDX-License-Identifier: Apache-2.0
"""Notebooks for the browser tests: services whose calls run until the test releases them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser.support.lab import MAKES_PICTURES, Lab

LOAD = "%load_ext flame_jupyter"
TRAIN = """%%flame_service train
def train(rate):
    import os, time
    for epoch in range(3):
        print(f"epoch {epoch}: loss {1 / (epoch + 1):.2f}", flush=True)
    while not os.path.exists(f"{RELEASES}/{rate}"):
        time.sleep(0.05)
    if rate < 0:
        raise ValueError(f"the learning rate must be positive, not {rate}")
    return {"rate": rate, "accuracy": 0.93}
"""
TABLE = """%%flame_service table
def table(rows):
    import pandas as pd
    return pd.DataFrame({"city": ["Lisbon", "Oslo", "Quito"][:rows], "height": [2, 23, 2850][:rows]})
"""
FRAME = """%%flame_service load
def load(rows):
    import pandas as pd
    print("loading", rows, "rows")
    return pd.DataFrame({"station": [f"S{n:04}" for n in range(rows)], "level": [n / 10 for n in range(rows)]})
"""

REPORT = """%%flame_service report
def report():
    class Report:
        def _repr_markdown_(self):
            table = "| k | score |\\n|---|---|\\n| 3 | 0.93 |"
            return f"### Scores of **fit**\\n\\n{table}\\n\\nwith $x_1^2$ and <b>no HTML</b>"
    return Report()
"""

ROWS = """%%flame_service rows
def rows(count):
    import os, time
    for number in range(count):
        while not os.path.exists(f"{RELEASES}/part{number}"):
            time.sleep(0.05)
        yield number
"""


class Notebook:
    """The notebook of a page, with cells of the test's own, whose calls run until the test releases them."""

    def __init__(self, lab: Lab, releases: Path) -> None:
        self.lab = lab
        self.releases = releases

    def open(self, *cells: str, in_new_kernel: bool = False) -> None:
        """Have these cells after two that load the extension and define ``train``, whose calls count from 1.

        in_new_kernel: for a test to which it matters what the kernel has done before.
        """
        is_new = self.lab.show([LOAD, TRAIN.replace("{RELEASES}", str(self.releases)), *cells])
        if not is_new and (in_new_kernel or MAKES_PICTURES):  # on pictures cells count from 1
            self.lab.start_new_kernel()
        elif not is_new:
            self.lab.execute("%flame_runner stop")  # with all that the test before has left running

    def release(self, argument: object) -> None:
        (self.releases / str(argument)).touch()


def displays(cell: Any) -> list[dict[str, str]]:
    return [dict(output["data"]) for output in cell.outputs if output["output_type"] == "display_data"]
