# SPDX-License-Identifier: Apache-2.0
"""``flamepy-runner-e2e``: says in one command whether a Runner works here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flamepy.engine.api import Engine
from flamepy.runner.e2e import main


def test_it_prints_what_came_out(engine: Engine, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--name", "check-me", "--workdir", str(tmp_path / "work")]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "Flame Runner cluster e2e passed",
        "app: check-me",
        "template: flmrun",
        f"workdir: {tmp_path / 'work'}",
        "function results: [0, 1, 4, 9]",
        "ObjectFuture chained result: 41",
        "stateful instance result: 6",
    ]
    assert (tmp_path / "work" / "README.md").exists()


def test_it_prints_one_json_object_when_asked(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", "--tasks", "2"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("app_name").startswith("flamepy-runner-e2e-")
    assert not Path(printed.pop("workdir")).exists()
    assert printed == {"chained_result": 13, "function_results": [0, 1], "stateful_result": 6, "template": "flmrun"}


def test_whatever_goes_wrong_is_told_and_the_exit_code_is_one(
    engine: Engine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--python-version", "2.7"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("Flame Runner cluster e2e failed: python_version is '2.7'")
