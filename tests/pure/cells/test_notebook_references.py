# SPDX-License-Identifier: Apache-2.0
"""What code of cells refers to, and that its digest changes when it means something else, and only then."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from flame_jupyter.cells.references import References, references_of
from flame_jupyter.service.handle import serial_of

_numbers = itertools.count()


def after(*cells: str) -> dict[str, Any]:
    """The variables of a notebook in which these cells have run."""
    variables: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile(cell, f"<cell {next(_numbers)}>", "exec", dont_inherit=True), variables)
    return variables


def found(code: str, *cells: str, own: tuple[str, ...] = ()) -> References:
    return references_of(compile(code, "<service>", "exec", dont_inherit=True), own, after(*cells), serial_of)


FUNCTION = "def helper(x):\n    return x + offset"
CLASS = """class Helper:
    unit = 1
    def make(self):
        return offset
    @property
    def size(self): return 2"""


@pytest.mark.parametrize(
    ("cell", "again"),
    [
        (FUNCTION, "\n\n# moved\ndef helper(x):\n\n    return (x + offset)  # the same"),
        (CLASS, CLASS + "\n    # nothing new"),
        ("helper = lambda x: x in {1, 'a', (2, 3)}", "helper = lambda x: x in {(2, 3), 'a', 1}"),
        ("import functools\n@functools.cache\n" + FUNCTION, "import functools\n\n@functools.cache\n" + FUNCTION),
        ("helper = [1, {'a': 2.5}]", "helper = [1, {'a': 2.5}]"),
        ("class A: x = 1\nhelper = A()", "class A: x = 1\n\nhelper = A()"),
        ("def outer():\n    def inner(n): return inner(n - 1)\n    return inner\nhelper = outer()",) * 2,
        ("import threading\nhelper = threading.local",) * 2,
    ],
)
def test_running_the_same_definition_again_changes_nothing(cell: str, again: str) -> None:
    use = "helper, Helper"
    assert found(use, "offset = 1", cell).values == found(use, "offset = 1", again).values


@pytest.mark.parametrize(
    ("cell", "other"),
    [
        (FUNCTION, FUNCTION.replace("+", "-")),
        (FUNCTION, FUNCTION.replace("(x)", "(x=1)")),
        ("def helper(x=1): ...", "def helper(x=2): ..."),
        ("def helper(x): return 1", "def helper(x): return True"),
        (CLASS, CLASS.replace("unit = 1", "unit = 2")),
        (CLASS, CLASS.replace("return 2", "return 3")),
        (CLASS, CLASS.replace("Helper:", "Helper(Exception):")),
        ("def wrap(f):\n    return lambda: f() + 1\n@wrap\ndef helper(): return 1",
         "def wrap(f):\n    return lambda: f() + 1\n@wrap\ndef helper(): return 2"),
        ("import functools\n@functools.cache\n" + FUNCTION, "import functools\n@functools.cache\n" + FUNCTION + " * 2"),
        ("helper = [1, {'a': 2.5}]", "helper = [1, {'a': 3.5}]"),
        ("class A: x = 1\nhelper = A()", "class A: x = 2\nhelper = A()"),
        ("import numpy\nhelper = numpy.zeros(99_999)", "import numpy\nhelper = numpy.ones(99_999)"),
    ],
)  # fmt: skip
def test_another_definition_is_another_value(cell: str, other: str) -> None:
    before, now = found("helper, Helper", cell), found("helper, Helper", other)
    assert before.values.keys() == now.values.keys()
    assert before.values != now.values


def test_references_are_followed_through_functions_classes_bases_and_decorators() -> None:
    reached = found(
        "def f(): return Model().fit()",
        "import math\nrate = 0.5\nunrelated = 7\ndef fit(): return math.pi * rate",
        "class Base:\n    def fit(self): return fit()",
        "def wrap(g):\n    return lambda: g()\n@wrap\ndef decorated(): return deep\ndeep = 1",
        "class Model(Base):\n    def run(self): return decorated()",
        own=("f",),
    )
    assert reached.values.keys() == {"Model", "Base", "fit", "rate", "decorated", "deep"}
    assert "math" in reached.modules


def test_names_of_its_own_attributes_and_unknown_ones_are_no_references() -> None:
    code = "own = 1\ndef f(x):\n    local = x.attribute\n    return own, local, nothing, len(x)"
    assert found(code, "own = 2\nattribute = local = x = 3", own=("own", "f")).values == {}


def test_what_cannot_be_pickled_is_the_same_while_it_is_the_same_object() -> None:
    code = compile("lock", "<service>", "exec")
    variables = after("import threading\nlock = threading.Lock()")
    assert references_of(code, (), variables, serial_of).values == references_of(code, (), variables, serial_of).values
    other = after("import threading\nlock = threading.Lock()")
    assert references_of(code, (), variables, serial_of).values != references_of(code, (), other, serial_of).values


def test_functions_and_classes_of_modules_count_by_name() -> None:
    reached = found("dumps, Path", "from json import dumps\nfrom pathlib import Path")
    assert reached.values["dumps"] == "json.dumps"
    assert "json" in reached.modules


def test_data_that_functions_take_along_is_measured_and_what_only_the_cell_reads_is_not() -> None:
    reached = found(
        "own = bytes(3000)\nsize = len(once)\ndef f():\n    return own, other, g()",
        "other = bytes(2000)\nonce = bytes(9000)\ndeep = [bytes(1000)]\ndef g(): return deep",
        "own = bytes(3000)",
        own=("own", "size", "f"),
    )
    rounded = {name: nbytes // 1000 for name, nbytes in reached.data.items()}
    assert rounded == {"own": 3, "other": 2, "deep": 1}
    assert "once" in reached.values
