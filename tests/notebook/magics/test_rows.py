# SPDX-License-Identifier: Apache-2.0
"""The list of what the notebook side promises (ROWS.md) names tests that exist, and forgets no word of the magics."""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from pathlib import Path

import pytest

from flame_jupyter.lines import SUBCOMMANDS, ExportLine, RunnerLine, ServiceLine
from flame_jupyter.options import flags_of
from flame_jupyter.settings.traits import FlameTraits

TESTS = Path(__file__).resolve().parents[2]
PAGE = Path(__file__).resolve().parents[1] / "ROWS.md"
_TEST = re.compile(r"`(test_\w+\.py)::(test_\w+)(?:\[(.+?)\])?`")
_WORD = re.compile(r"`(.+?)`")


@lru_cache
def sections() -> dict[str, list[tuple[str, str]]]:
    """Heading -> (row, tests) of the table below it."""
    found: dict[str, list[tuple[str, str]]] = {}
    heading = ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            heading = line.removeprefix("## ")
        elif line.startswith("| ") and not line.startswith("| Row "):
            row, tests = line.strip("| ").replace(r"\|", "\N{BROKEN BAR}").split(" | ")
            found.setdefault(heading, []).append((row, tests))
    return found


def test_the_tests_of_every_row_exist() -> None:
    missing = []
    for heading, rows in sections().items():
        for row, tests in rows:
            named = _TEST.findall(tests)
            if not len(named) == tests.count("::") > 0:
                missing.append(f"{heading}, {row}: names no test, or not as `file.py::test[case]`")
            for file, function, case in named:
                functions, text = text_of(file)
                if function not in functions or case not in text:
                    missing.append(f"{heading}, {row}: {file} has no {function} {case}")
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize(
    ("heading", "words"),
    [
        ("Subcommands of `%flame_runner`", SUBCOMMANDS),
        ("Options of `%flame_runner`", flags_of(RunnerLine)),
        ("`%%flame_service`", flags_of(ServiceLine)),
        (
            "`%%flame_export` and `#| export`",
            flags_of(ExportLine),
        ),
        ("Settings", FlameTraits().sources.names),
    ],
)
def test_every_word_of_the_code_has_its_row(heading: str, words: list[str]) -> None:
    named = {word for row, _ in sections()[heading] for word in _WORD.findall(row)}
    assert set(words) <= named


@lru_cache
def text_of(file: str) -> tuple[set[str], str]:
    """The test functions of a file, and its text."""
    (path,) = TESTS.rglob(file)
    text = path.read_text(encoding="utf-8")
    functions = {
        node.name for node in ast.parse(text).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    return functions, text
