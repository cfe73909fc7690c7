# SPDX-License-Identifier: Apache-2.0
"""Help, ``?`` and the inspector of a front end are about what the user wrote."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

from tests.notebook.shells import Shell

SCALE = '''%%flame_service scale
def scale(x: float, by: float = 2.0) -> float:
    """Multiply x by a factor."""
    return x * by'''
COUNTER = '''%%flame_service Counter
class Counter:
    """Counts."""
    def __init__(self, start: int = 0):
        self.n = start
    def add(self, k: int = 1) -> int:
        """Add k."""
        self.n += k
        return self.n'''


@pytest.fixture
def served(shell: Shell) -> Shell:
    for cell in (SCALE, COUNTER, "ten = Counter(10)", "import functools"):
        shell.run(cell)
    return shell


def test_help_is_about_the_original(served: Shell) -> None:
    assert "scale(x: float, by: float = 2.0) -> float\n    Multiply x by a factor." in served.run("help(scale)").printed
    assert "add(self, k: int = 1) -> int\n    Add k." in served.run("help(Counter.add)").printed
    assert "add(self, k: int = 1) -> int\n    Add k." in served.run("help(ten.add)").printed
    for cell in ("help(Counter)", "help(ten)"):
        assert "class Counter(" in served.run(cell).printed
    assert served["scale"].__doc__ == "Multiply x by a factor."


@pytest.mark.parametrize(
    ("name", "signature", "doc"),
    [
        ("scale", "scale(x: float, by: float = 2.0) -> float", "Multiply x by a factor."),
        ("Counter", "Counter(start: int = 0)", "Counts."),
        ("Counter.add", "Counter.add(k: int = 1) -> int", "Add k."),
        ("ten.add", "ten.add(k: int = 1) -> int", "Add k."),
    ],
)
def test_the_inspector_shows_one_signature_and_one_docstring(
    served: Shell, name: str, signature: str, doc: str
) -> None:
    shown: dict[str, Any] = served.ip.object_inspect_mime(name, detail_level=1)
    text = re.sub(r"\x1b\[[0-9;]*m", "", shown["text/plain"])
    assert re.search(rf"^Signature: +{re.escape(signature)}$", text, re.MULTILINE), text
    if name != "ten.add":
        assert "Call signature" not in text
        assert "Source:" in text or name == "Counter", text  # IPython finds the source of no class of a cell on 3.11
    assert "Class docstring" not in text
    plain = re.sub(r"\x1b\[[0-9;]*m", "", served.ip.object_inspect_mime(name)["text/plain"])
    assert re.search(rf"^Docstring: +{re.escape(doc)}$", plain, re.MULTILINE), plain


def test_signatures_are_those_of_the_original(served: Shell) -> None:
    assert str(inspect.signature(served["scale"])) == "(x: float, by: float = 2.0) -> float"
    assert str(inspect.signature(served["ten"].add)) == "(k: int = 1) -> int"
    assert str(inspect.signature(served["scale"].__call__)) == "(x: float, by: float = 2.0) -> float"
    assert served.run("scale.__call__(2).get(), Counter.add.__call__(k=2).get()").value == (4.0, 2)


def test_annotations_of_a_cell_are_what_they_are_in_any_cell(shell: Shell) -> None:
    shell.run(
        "%%flame_service area\nfrom dataclasses import dataclass, fields\n"
        "@dataclass\nclass Size:\n    width: int\ndef area(size: Size) -> int:\n    return size.width ** 2"
    )
    assert shell.run("fields(Size)[0].type is int, area.local.__annotations__['size'] is Size").value == (True, True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("scale()", "scale() missing 1 required positional argument: 'x'"),
        ("scale(1, 2, 3)", "scale() takes from 1 to 2 positional arguments but 3 were given"),
        ("scale(1, factor=3)", "scale() got an unexpected keyword argument 'factor'"),
        ("Counter.add(1, 2)", "Counter.add() takes from 1 to 2 positional arguments but 3 were given"),
        ("ten.add(1, l=2)", "Counter.add() got an unexpected keyword argument 'l'"),
        ("Counter(1, 2)", "Counter.__init__() takes from 1 to 2 positional arguments but 3 were given"),
        (
            "runner.service(functools.partial(scale.local, 1))(2, 3)",
            "scale() takes from 1 to 2 positional arguments but 3 were given",
        ),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_found_at_the_call(served: Shell, call: str, message: str) -> None:
    served.run("runner = %flame_runner")
    result = served.run_any(f"before = 1\nfuture = {call}")
    assert isinstance(result.error, TypeError)
    assert str(result.error) == message
    assert f"---->   2 future = {call}" in result.printed or f"----> 2 future = {call}" in result.printed
    assert "flamepy/" not in result.printed
    assert result.printed.rstrip().endswith(message)
