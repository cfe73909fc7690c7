# SPDX-License-Identifier: Apache-2.0
"""The walk in the documentation is the one that a call takes."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from flamepy import Runner
from flamepy.engine.current import use_engine
from flamepy.engine.local.engine import EmbeddedEngine

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "explanation" / "life-of-a-call.md"
ROW = re.compile(r"^\| (?:\*([a-z ]+)\*)? ?\| `([\w/.]+)` \| `(\w+)` \|", re.MULTILINE)
Hop = tuple[str, str]  # file and function


def hops(*of: str) -> list[Hop]:
    """The hops of the walk that belong to these parts, in order."""
    part, found = "", []
    for name, file, function in ROW.findall(PAGE.read_text(encoding="utf-8")):
        part = name or part
        if part in of:
            found.append((file if file.startswith("flame_jupyter/") else f"flamepy/{file}", function))
    return found


def hop_at(file: str, function: str) -> Hop:
    path = Path(file)
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else "", function


def stack_of_worker() -> list[Hop]:
    """The functions that wait for this call, from outside."""
    frame: FrameType | None = sys._getframe()
    found = []
    while frame is not None:
        found.append((frame.f_code.co_filename, frame.f_code.co_name))
        frame = frame.f_back
    return found[::-1]


@pytest.fixture
def entered(project: Path, nothing_is_left: None) -> Iterator[dict[Hop, None]]:
    """What this thread and that of the engine enter, in order, first times only; emptied by the test."""
    entered: dict[Hop, None] = {}

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            entered.setdefault(hop_at(frame.f_code.co_filename, frame.f_code.co_name))

    threading.setprofile(note)
    engine = EmbeddedEngine(workers=2)
    threading.setprofile(None)
    try:
        with use_engine(engine):
            sys.setprofile(note)
            yield entered
    finally:
        sys.setprofile(None)
        engine.close()


def test_a_small_call_passes_the_hops_of_the_walk_in_their_order(entered: dict[Hop, None]) -> None:
    with Runner("walk") as runner:
        service = runner.service(stack_of_worker)
        service().get()  # from here on worker and service are there
        entered.clear()
        in_worker = service().get()
        sys.setprofile(None)
    *here, last = hops("your thread", "event loop")
    assert [hop for hop in entered if hop in here] == here
    assert last in entered
    *waiting, _reports_afterwards = hops("worker")
    assert [hop for hop in (hop_at(*each) for each in in_worker) if hop in waiting] == waiting


def test_the_walk_of_a_call_names_fifteen_files_at_most_and_each_is_there() -> None:
    assert 10 < len(hops("your thread", "event loop", "worker")) <= 15
    files = hops("cell", "your thread", "event loop", "worker")
    assert len(files) == len(set(files)), "each hop once"
    for file, function in files:
        assert f"def {function}(" in (ROOT / file).read_text(encoding="utf-8")
