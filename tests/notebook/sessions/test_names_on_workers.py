# SPDX-License-Identifier: Apache-2.0
"""What the name of a service means in code of the notebook that runs on a worker."""

from __future__ import annotations

import pytest

from tests.notebook.shells import Shell

VECTOR = """%%flame_service Vector --quiet
class Vector:
    def __init__(self, x):
        self.x = x
    def twice(self):
        return Vector.local(2 * self.x)
    def thrice(self):
        return times(self, 3)
def times(v, n):
    return Vector.local(v.x * n) if isinstance(v, Vector) else None"""
FIB = """%%flame_service fib --quiet
def fib(n):
    return n if n < 2 else fib(n - 1) + fib.local(n - 2)"""


@pytest.fixture
def vectors(shell: Shell) -> Shell:
    shell.run(VECTOR)
    return shell


def test_helpers_that_name_a_served_class_mean_the_class(vectors: Shell) -> None:
    vectors.run("def plus(a, b):\n    assert isinstance(a, Vector)\n    return Vector(a.x + b.x)")
    vectors.run("%%flame_service norm --quiet\ndef norm(v):\n    return plus(v, v).x, type(plus(v, v)) is Vector.local")
    assert vectors.run("norm(Vector.local(4)).get()").value == (8, True)


@pytest.mark.parametrize("marked", ["", "%%flame_service Three --quiet\n"])
def test_subclasses_of_a_served_class_may_name_their_base(vectors: Shell, marked: str) -> None:
    vectors.run(
        f"{marked}class Three(Vector):\n    def __init__(self):\n        Vector.__init__(self, 3)\n"
        "    def plain(self):\n        return Vector(self.x).x"
    )
    vectors.run(
        "%%flame_service use --quiet\ndef use():\n    three = Three()\n"
        "    return three.plain(), three.twice().x, issubclass(Three, Vector), isinstance(three, Vector)"
    )
    assert vectors.run("use().get()").value == (3, 6, True, True)


def test_code_of_a_class_and_its_helpers_may_say_local(vectors: Shell) -> None:
    assert vectors.run("v = Vector(2)\n[v.twice().get().x, v.thrice().get().x]").value == [4, 6]
    assert vectors.run("Vector.local(2).thrice().x").value == 6
    vectors.run("%%flame_service use --quiet\ndef use(v):\n    return v.twice().x, v.thrice().x")
    assert vectors.run("use(Vector.local(5)).get()").value == (10, 15)


def test_a_recursive_function_may_say_local(shell: Shell) -> None:
    shell.run(FIB)
    assert shell.run("fib(10).get()").value == 55


def test_another_service_calls_the_service_or_its_original(shell: Shell) -> None:
    shell.run(FIB)
    shell.run("%%flame_service total --quiet\ndef total(n):\n    return fib.local(n), fib(n).get()")
    assert shell.run("total(7).get()").value == (13, 13)


def test_a_handle_is_an_argument_and_a_result(shell: Shell) -> None:
    shell.run(FIB)
    shell.run("%%flame_service both --quiet\ndef both(f, n):\n    return f.local(n), f(n).get(), f")
    first, second, back = shell.run("both(fib, 6).get()").value
    assert (first, second) == (8, 8)
    shell.ip.user_ns["back"] = back
    assert shell.run("back(7).get(), back.local(3), both(back, 5).get()[:2]").value == (13, 2, (5, 5))
    assert "is no future and no service" not in shell.run("%flame_runner logs back").printed


def test_a_class_without_its_default_object_says_so_when_a_worker_calls_that(vectors: Shell) -> None:
    vectors.run("%%flame_service use --quiet\ndef use():\n    return Vector.twice()")
    said = str(vectors.run_any("use().get()").error)
    assert "Vector() needs 'x'. Call Vector(...) first and use the service that it returns" in said


def test_an_original_that_takes_much_data_along_stays_in_the_notebook(shell: Shell) -> None:
    shell.run("data = bytes(2_000_000)")
    shell.run("%%flame_service size --quiet\ndef size():\n    return len(data)")
    shell.run("%%flame_service use --quiet\ndef use(local):\n    return size.local() if local else size().get()")
    assert shell.run("use(False).get()").value == 2_000_000
    said = str(shell.run_any("use(True).get()").error)
    assert "size.local stays in the notebook, because it takes 1.9 MB of data along: call the service" in said
