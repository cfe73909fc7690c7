# SPDX-License-Identifier: Apache-2.0
"""A big result is looked at where it lies: a worker makes the preview, the value never comes into the kernel."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flame_jupyter.display.previews.preview import Limits
from flame_jupyter.display.previews.preview_jobs import preview_of, preview_within_budget
from flamepy import Runner, RunnerClosed
from flamepy.engine.local.engine import EmbeddedEngine

SMALL = Limits(fetch_bytes=1000)


class OnlyThere:
    """Refuses to be unpickled in the process that asked for it."""

    def __init__(self, forbidden_pid: int) -> None:
        self.forbidden_pid = forbidden_pid
        self.padding = os.urandom(5000)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if os.getpid() == self.forbidden_pid:
            raise AssertionError("the value was decoded in the caller's process")

    def _repr_html_(self) -> str:
        return "<b>seen there</b>"


class KillsItsReader:
    def __init__(self) -> None:
        self.padding = os.urandom(5000)

    def __repr__(self) -> str:
        os._exit(3)


def make(forbidden_pid: int) -> OnlyThere:
    return OnlyThere(forbidden_pid)


def wait_for_file(path: str) -> str:
    while not os.path.exists(path):
        time.sleep(0.02)
    return path


def answer(value: object) -> str:
    return f"{type(value).__name__} in {os.getpid()}"


@pytest.fixture
def runner(embedded: EmbeddedEngine) -> Iterator[Runner]:
    with Runner("previews") as runner:
        yield runner


def test_the_kernel_never_decodes_a_big_value_for_its_preview(runner: Runner) -> None:
    future = runner.service(make)(os.getpid())
    future.wait()
    shown = preview_within_budget(future, SMALL)
    assert (shown.html, shown.note) == ("<b>seen there</b>", "")


def test_a_preview_neither_waits_for_the_calls_of_the_user_nor_counts_as_one(runner: Runner, tmp_path: Path) -> None:
    """Both workers are busy; the answer comes all the same, and the next call has the next number."""
    future = runner.service(make)(os.getpid())
    future.wait()
    release = tmp_path / "release"
    busy = [runner.service(wait_for_file)(str(release)) for _ in range(3)]
    assert preview_of(future, SMALL).html == "<b>seen there</b>"
    assert busy[0].id == future.id + 1
    assert [view.name for view in runner.services()] == ["make", "wait_for_file", "wait_for_file", "wait_for_file"]
    release.touch()
    runner.wait(busy)
    assert runner.service(make)(0).id == busy[-1].id + 1


def test_a_question_about_a_result_is_answered_on_a_worker(runner: Runner) -> None:
    future = runner.service(make)(os.getpid())
    name, pid = future.ask(answer).get().split(" in ")
    assert name == "OnlyThere"
    assert int(pid) != os.getpid()


def test_a_representation_that_ends_its_process_is_told_and_the_next_preview_works(runner: Runner) -> None:
    killer = runner.service(kill_reader)()
    killer.wait()
    assert "WorkerLost" in preview_of(killer, SMALL).note
    future = runner.service(make)(os.getpid())
    future.wait()
    assert preview_of(future, SMALL).html == "<b>seen there</b>"


def kill_reader() -> KillsItsReader:
    return KillsItsReader()


def test_after_the_runner_has_closed_a_big_value_has_no_preview_and_the_note_says_what_to_do(
    embedded: EmbeddedEngine,
) -> None:
    with Runner("previews") as runner:
        future = runner.service(make)(0)
    with pytest.raises(RunnerClosed, match=r"take it with get\(\)"):
        future.ask(answer)
    assert "take it with get()" in preview_of(future, SMALL).note
