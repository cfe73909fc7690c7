# SPDX-License-Identifier: Apache-2.0
"""All cells run twice: classes stay the same to services, state stays, and only what a service uses has changed."""

from __future__ import annotations

from pathlib import Path

import pytest

import flamepy
from tests.notebook.shells import Shell

DEFINITIONS = """
from dataclasses import dataclass
import enum

@dataclass(frozen=True)
class Point:
    x: int

class Color(enum.Enum):
    RED = 1

class Access(enum.Flag):
    READ = 1
    WRITE = 2

class Shape:
    sides = 0
    class Corner:
        pass

class Square(Shape):
    sides = 4

class Trouble(Exception):
    pass
"""
MAKE = """%%flame_service make
def make(name):
    if name == "trouble":
        raise Trouble("there")
    return {"point": Point(1), "color": Color.RED, "access": Access.READ | Access.WRITE, "square": Square(),
            "corner": Shape.Corner()}[name]"""
LOOK = """%%flame_service look
def look(point, color, square):
    return point == Point(1), color is Color.RED, isinstance(square, Shape), type(square) is Square"""
STORE = """%%flame_service Store
class Key:
    def __init__(self, name):
        self.name = name
    def __eq__(self, other):
        return isinstance(other, Key) and other.name == self.name
    def __hash__(self):
        return hash(self.name)

class Store:
    def __init__(self):
        self.kept = {}
    def put(self, key):
        self.kept[key] = self.kept.get(key, 0) + 1
        return self.kept[key]"""
COMPARISONS = [
    "isinstance(make('point').get(), Point)",
    "make('point').get() == Point(1)",
    "make('color').get() is Color.RED",
    "make('access').get() is Access.READ | Access.WRITE",
    "isinstance(make('square').get(), Shape)",
    "type(make('square').get()) is Square",
    "isinstance(make('corner').get(), Shape.Corner)",
    "look(Point(1), Color.RED, Square()).get() == (True, True, True, True)",
    "isinstance(make('trouble').exception(), Trouble)",
]


@pytest.fixture
def defined(shell: Shell) -> Shell:
    for cell in (DEFINITIONS, MAKE, LOOK, STORE):
        shell.run(cell)
    return shell


def test_classes_of_cells_are_the_same_to_services_each_time_the_cells_run(defined: Shell) -> None:
    for count in (1, 2, 3):
        assert [each for each in COMPARISONS if not defined.run(each).value] == []
        assert defined.run("Store.put(Key('a')).get()").value == count
        defined.run(DEFINITIONS)
        assert "make: unchanged" in defined.run(MAKE).printed
        assert "look: unchanged" in defined.run(LOOK).printed
        assert "Store: unchanged" in defined.run(STORE).printed


def test_classes_that_are_defined_again_by_the_body_of_a_magic_in_one_cell_are_the_same_at_once(defined: Shell) -> None:
    defined.run(f"get_ipython().run_cell({DEFINITIONS!r}); is_same = {COMPARISONS[0]}")
    assert defined["is_same"]


@pytest.mark.parametrize(
    ("old", "new"),
    [("    x: int", "    x: int\n    y: int = 0"), ("RED = 1", "RED = 2"), ("    sides = 0", "    sides = 1")],
)
def test_a_class_that_really_has_changed_is_another_one_and_its_services_are_made_anew(
    defined: Shell, old: str, new: str
) -> None:
    first = defined.run("make('point').get(), make('color').get(), make('square').get()").value
    defined.run(DEFINITIONS.replace(old, new))
    assert "make: redefined" in defined.run(MAKE).printed
    defined.run(LOOK)
    assert [each for each in COMPARISONS if not defined.run(each).value] == []
    kinds = [defined["Point"], defined["Color"], defined["Square"]]
    assert not all(isinstance(value, kind) for value, kind in zip(first, kinds, strict=True))


# -- files of the project

COUNTER = """%%flame_service Counter
class Counter:
    def __init__(self):
        self.count = 0
    def add(self):
        {imports}
        self.count += 1
        return self.count"""


@pytest.mark.parametrize(
    ("imports", "stays"),
    [
        ("pass", True),
        ("import used", False),
        ("from used import VALUE", False),
        ("import package.part", False),
        ("from package import part", False),
        ("import user_of_used", False),
        ("import other", True),
        ("__import__('us' + 'ed')", False),
    ],
)
def test_state_is_reset_only_when_a_file_that_the_service_uses_has_changed(
    shell: Shell, project: Path, imports: str, stays: bool
) -> None:
    (project / "package").mkdir()
    files = {"used.py": "VALUE = 1", "other.py": "", "user_of_used.py": "import used", "package/__init__.py": ""}
    for name, text in {**files, "package/part.py": "VALUE = 1"}.items():
        (project / name).write_text(text + "\n")
    cell = COUNTER.format(imports=imports)
    shell.run(cell)
    assert shell.run("[Counter.add().get() for _ in range(3)]").value == [1, 2, 3]
    (project / "used.py").write_text("VALUE = 22\n")
    (project / "package" / "part.py").write_text("VALUE = 22\n")
    (project / "new.py").write_text("VALUE = 1\n")
    printed = shell.run(cell).printed
    assert ("Counter: unchanged" in printed) is stays
    assert shell.run("Counter.add().get()").value == (4 if stays else 1)
    assert "new.py" not in printed or "__import__" in imports


def test_only_services_that_use_a_file_are_named_when_it_changes(shell: Shell, project: Path) -> None:
    (project / "used.py").write_text("VALUE = 1\n")
    shell.run("%%flame_service user\ndef user():\n    import used\n    return used.VALUE")
    shell.run("%%flame_service other\ndef other():\n    return 1")
    assert shell.run("user().get(), other().get()").value == (1, 1)
    (project / "used.py").write_text("VALUE = 22\n")
    printed = shell.run("%%flame_service third\ndef third():\n    return 3").printed
    assert "used.py changed: run the cells of user again" in printed
    assert "other" not in printed


# -- an engine that has ended, and services that could not be made


def test_after_a_shutdown_an_unchanged_cell_starts_a_new_runner(shell: Shell) -> None:
    cell = "%%flame_service one\ndef one():\n    return 1"
    shell.run(cell)
    shell.run("%%flame_service two\ndef two():\n    return 2")
    assert shell.run("one().get(), two().get()").value == (1, 2)
    flamepy.shutdown()
    assert "no Runner is open" in shell.run("%flame_runner status").printed
    assert "Run the cell that defines two again" in shell.run_any("two()").printed
    assert "one: function, ready" in shell.run(cell).printed
    assert shell.run("one().get()").value == 1


@pytest.mark.parametrize(
    ("cell", "name", "use"),
    [
        ("%%flame_service broken\ndef broken(x):\n    with lock:\n        return x", "broken", "broken(1)"),
        ("%%flame_service broken\ndef broken(x):\n    with lock:\n        return x", "broken", "broken.get()"),
        (
            "%%flame_service --instance Broken\nclass Broken:\n    def __init__(self, held):\n        self.held = held",
            "Broken",
            "Broken.get()",
        ),
    ],
)
def test_a_name_that_could_not_be_served_says_so_when_it_is_used(shell: Shell, cell: str, name: str, use: str) -> None:
    shell.run("import threading\nlock = threading.Lock()")
    assert shell.run_any(cell).error is not None
    error = shell.run_any(use).error
    assert isinstance(error, flamepy.FlameError), error
    assert "no service: serving it failed" in str(error)
    assert shell[name].local is not None
    shell.run(f"%%flame_service {name}\ndef {name}():\n    return 7")
    assert shell.run(f"{name}().get()").value == 7
