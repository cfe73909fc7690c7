# SPDX-License-Identifier: Apache-2.0
"""A package that is unpacked while the program goes on: its calls find every file, as it was when the Runner opened."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from flamepy import Runner
from flamepy.engine.local.apps.installer import AT_ONCE_BYTES
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.errors import FlameError
from flamepy.protocol.app_directory import remove_directory

FILES = 400


@pytest.fixture
def big(project: Path) -> Path:
    for number in range(FILES):
        (project / f"{number:03}.txt").write_text(f"{number:03}" * (AT_ONCE_BYTES // FILES))
    return project


def beginnings() -> list[str]:
    return [(path.read_text() or "empty")[:3] for path in sorted(Path().glob("*.txt"))]


def test_the_first_call_finds_every_file(embedded: EmbeddedEngine, big: Path) -> None:
    with Runner("big") as runner:
        assert runner.service(beginnings)().get() == [f"{number:03}" for number in range(FILES)]


def test_what_is_edited_after_opening_does_not_reach_the_workers(embedded: EmbeddedEngine, big: Path) -> None:
    with Runner("big") as runner:
        service = runner.service(beginnings)
        for path in big.glob("*.txt"):
            path.write_text("edited")
        assert service().get() == [f"{number:03}" for number in range(FILES)]
        assert set(runner.service(beginnings)().get()) == {"edi"}


def test_what_a_worker_writes_stays_there(embedded: EmbeddedEngine, big: Path) -> None:
    with Runner("big") as runner:
        runner.service(os.truncate)("000.txt", 0).get()
    assert (big / "000.txt").stat().st_size > 0
    with Runner("big") as runner:
        assert runner.service(beginnings)().get()[0] == "000"


def test_one_that_is_closed_at_once_leaves_nothing_and_comes_again(embedded: EmbeddedEngine, big: Path) -> None:
    for _ in range(3):
        with Runner("big"):
            pass
    with Runner("big") as runner:
        assert len(runner.service(beginnings)().get()) == FILES


def test_an_engine_that_ends_while_a_call_waits_for_its_files_ends_soon(embedded: EmbeddedEngine, big: Path) -> None:
    runner = Runner("big")
    waiting = runner.service(beginnings)()
    embedded.close(grace_s=0)
    assert waiting.done()


class Place:
    def where(self) -> str:
        return os.getcwd()


def test_files_that_cannot_be_unpacked_again_are_named_to_the_call(embedded: EmbeddedEngine, big: Path) -> None:
    with Runner("big") as runner:
        assert runner.package is not None
        root = runner.service(os.getcwd)().get()
        remove_directory(root)  # as a cleaner of the temporary directory does
        whole = runner.package.path.read_bytes()
        runner.package.path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(FlameError, match="not a readable tar archive"):
            runner.service(Place).where().get()
        runner.package.path.write_bytes(whole)
        assert runner.service(Place).where().get() == root
