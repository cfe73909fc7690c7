# SPDX-License-Identifier: Apache-2.0
"""What a cell defines, which of it a line means, when two cells are the same, and where a frame comes from."""

from __future__ import annotations

import ast
import functools
import traceback

import pytest
from IPython.core.error import UsageError

from flame_jupyter.cells.definitions import awaits_at_top_level, definitions_of, fingerprint, resolved_target
from flame_jupyter.tracebacks.cell_index import CodeIndex


def defined_by(source: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = definitions_of(ast.parse(source))
    return found.services, found.others


def test_functions_and_classes_are_services_and_other_names_are_known() -> None:
    source = "import a.b, c as d\nx = y = 1\nclass A:\n  z = 1\n  def m(self): q = 1\n"
    source += "if x:\n  def f(): w = 1\nasync def g(): ..."
    assert defined_by(source) == (("A", "f", "g"), ("a", "d", "x", "y"))


@pytest.mark.parametrize(
    ("target", "source", "name"),
    [
        (None, "def f(): ...", "f"),
        (None, "def _helper(): ...\nclass Model: ...", "Model"),
        ("f", "def f(): ...\ndef g(): ...", "f"),
        ("counter", "class Counter: ...", "Counter"),
        ("model", "model = make()", "model"),
    ],
)
def test_a_target_names_what_the_cell_defines(target: str | None, source: str, name: str) -> None:
    assert resolved_target(target, definitions_of(ast.parse(source))) == name


@pytest.mark.parametrize(
    ("target", "source", "said"),
    [
        (None, "x = 1", "defines no function and no class"),
        (None, "def f(): ...\ndef g(): ...", "the cell defines f, g. Say which one to serve: %%flame_service f"),
        ("Counter", "class Cuonter: ...\ndef helper(): ...", "It defines: Cuonter, helper. Did you mean 'Cuonter'?"),
        ("Counter", "1 + 1", "it defines nothing"),
        ("counter", "class Counter: ...\nclass Other: ...", "Did you mean 'Counter'?"),
    ],
)
def test_a_wrong_target_says_what_the_cell_defines(target: str | None, source: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved_target(target, definitions_of(ast.parse(source)))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("source", "does"),
    [
        ("await x", True),
        ("async with x: ...", True),
        ("[a async for a in x]", True),
        ("@(await d)\ndef f(): ...", True),
        ("async def f(): await x", False),
        ("f = lambda: (yield)", False),
        ("class A:\n  async def f(self): await x", False),
    ],
)
def test_an_await_at_the_top_level_is_found(source: str, does: bool) -> None:
    assert awaits_at_top_level(ast.parse(source)) is does


def test_only_what_means_something_else_has_another_fingerprint() -> None:
    plain = fingerprint(ast.parse("def f(x):\n    return x"))
    assert fingerprint(ast.parse("\n\n# why\ndef f(x): return x  # this")) == plain
    assert fingerprint(ast.parse("def f(x):\n    return x + 1")) != plain


def divide(x: int) -> float:
    return 1 / x


def wrapping(function):  # type: ignore[no-untyped-def]  # as users write it
    @functools.wraps(function)
    def wrapper(*args):  # type: ignore[no-untyped-def]
        return function(*args)

    return wrapper


class Sample:
    def nested(self) -> object:
        def inner() -> object:
            return (lambda: divide(0))()

        return inner()

    @property
    def fails(self) -> float:
        return divide(0)

    @staticmethod
    @wrapping
    def decorated() -> float:
        return divide(0)


@pytest.mark.parametrize("call", [lambda s: s.nested(), lambda s: s.fails, lambda s: s.decorated()])
def test_every_frame_of_a_definition_is_found_by_name_and_line(call) -> None:  # type: ignore[no-untyped-def]
    index = CodeIndex()
    index.add(Sample())
    with pytest.raises(ZeroDivisionError) as caught:
        call(Sample())
    frames = list(traceback.walk_tb(caught.value.__traceback__))[2:]  # without this test and the lambda
    assert len(frames) >= 2
    for frame, lineno in frames:
        code = frame.f_code
        for qualname in (getattr(code, "co_qualname", code.co_name), code.co_name):  # 3.10 knows only the second
            place = index.place_of(code.co_name, qualname, lineno)
            assert place is not None
            assert place.filename == __file__


def test_a_line_that_the_code_does_not_have_is_not_found() -> None:
    index = CodeIndex()
    index.add(divide)
    assert index.place_of("divide", "divide", 10_000) is None
    assert index.place_of("other", "other", divide.__code__.co_firstlineno) is None
