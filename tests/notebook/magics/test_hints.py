# SPDX-License-Identifier: Apache-2.0
"""The mistake that everybody makes once: a future is used as if it were the value. The error stays, a line is added."""

from __future__ import annotations

import pytest

from tests.notebook.shells import Shell

SERVICES = """%%flame_service double --quiet
def double(x):
    return 2 * x"""
STREAM = """%%flame_service numbers --quiet
def numbers(count):
    yield from range(count)"""
FUTURE_TAKEN = [
    "double(1) + 1",
    "sum([double(1), double(2)])",
    "[each for each in double(1)]",
    "double([1])[0]",
    "len(double([1]))",
    "double(1).real",
    "import math; math.sqrt(double(1))",
    "import json; json.dumps(double(1))",
    "import numpy; numpy.array([double(1), double(2)]) * 2",
    "sum(numbers(3))",
]


@pytest.fixture
def services(shell: Shell) -> Shell:
    shell.run(SERVICES)
    shell.run(STREAM)
    return shell


def test_a_future_that_is_taken_for_its_value_gives_the_error_and_a_hint(services: Shell) -> None:
    for cell in FUTURE_TAKEN:
        result = services.run_any(cell)
        assert isinstance(result.error, (TypeError, AttributeError)), cell
        *error, hint = result.printed.rstrip().splitlines()
        assert "ObjectFuture" in error[-1], result.printed
        assert hint.startswith("Hint: a call gives a future. future.get() waits"), result.printed


def test_a_stream_that_is_taken_for_a_value_gives_a_hint_of_its_own(services: Shell) -> None:
    for cell in ("numbers(3).get()", "numbers(3)[0]"):
        assert "Hint: a generator gives a stream. 'for part in stream'" in services.run_any(cell).printed


def test_other_errors_have_no_hint_and_neither_has_a_shell_without_the_extension(services: Shell) -> None:
    for cell in ("1 + '1'", "None.nothing", "double('a').get() + 1", "ObjectFuture"):
        assert "Hint" not in services.run_any(cell).printed
    services.run("future = double(1)")
    services.ip.run_line_magic("unload_ext", "flame_jupyter")
    assert "Hint" not in services.run_any("future + 1").printed


def test_a_future_that_is_taken_for_a_coroutine_gets_the_hint_that_helps(services: Shell) -> None:
    result = services.run_any("import asyncio; asyncio.run(double(1))")
    assert isinstance(result.error, (TypeError, ValueError))
    assert "asyncio.ensure_future(future)" in result.printed
