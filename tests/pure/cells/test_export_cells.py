# SPDX-License-Identifier: Apache-2.0
"""Cells to module: which cells are exported, what replaces what, and what the module says. No kernel, no disk."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from IPython.core.error import UsageError

from flame_jupyter.export.cells import ExportedCell, exported_cell, with_cell, without_cell
from flame_jupyter.export.directive import directive_of, saved_directive_of
from flame_jupyter.export.module import alias_of, assembled, check_module_name, own_module
from flame_jupyter.export.undefined import undefined_names


def cell(source: str, cell_id: str | None = None, module: str | None = None) -> ExportedCell:
    return exported_cell(source, module, cell_id=cell_id)


def after(*cells: ExportedCell) -> list[str]:
    kept: tuple[ExportedCell, ...] = ()
    for each in cells:
        kept = with_cell(kept, each)
    return [each.source for each in kept]


def values(source: str) -> dict[str, object]:
    found: dict[str, object] = {}
    exec(compile(source, "module", "exec", dont_inherit=True), found)
    return found


# -- the directive


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("#| export\nx = 1", None),
        ("#|export\nx = 1", None),
        ("# | export  \nx = 1", None),
        ("#| export pipeline\nx = 1", "pipeline"),
        ("\n\n# a comment\n\n#| echo: false\n#| export pipeline\nx = 1", "pipeline"),
        ("%%flame_service f --warmup 1\n#| export\ndef f(): ...", None),
    ],
)
def test_the_nbdev_directive_in_the_first_lines_exports_a_cell(text: str, module: str | None) -> None:
    found = directive_of(text)
    assert found is not None
    assert found.module == module
    ast.parse(found.source)
    lines = text.split("\n")
    assert found.source.split("\n") == lines[found.first_line - 1 :]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x = 1\n#| export",
        "#| exporti\nx = 1",
        "#| export a b\nx = 1",
        "# export\nx = 1",
        "%%writefile a.py\n#| export\nx = 1",
    ],
)
def test_other_cells_are_not_exported(text: str) -> None:
    assert directive_of(text) is None


@pytest.mark.parametrize(
    ("text", "module"),
    [
        ("%%flame_export\nx = 1", None),
        ("%%flame_export pipeline --quiet\nx = 1", "pipeline"),
        ("%%flame_export --quiet\nx = 1", None),
        ("#| export other\nx = 1", "other"),
    ],
)
def test_in_a_saved_notebook_the_explicit_form_counts_too(text: str, module: str | None) -> None:
    found = saved_directive_of(text)
    assert found is not None
    assert found.module == module
    assert values(found.source)["x"] == 1


# -- what replaces what


def test_the_same_cell_is_replaced_in_place_whatever_it_defines_now() -> None:
    assert after(cell("a = 1", "1"), cell("b = 1", "2"), cell("c = 1", "1")) == ["c = 1", "b = 1"]


def test_a_cell_that_defines_the_same_names_takes_the_older_ones_place() -> None:
    assert after(cell("def f(): 1"), cell("b = 1"), cell("def f(): 2")) == ["def f(): 2", "b = 1"]
    assert after(cell("import os"), cell("b = 1"), cell("import os\nb = 2")) == ["import os\nb = 2"]


def test_a_cell_that_defines_only_some_of_the_names_comes_after() -> None:
    assert after(cell("a = b = 1"), cell("a = 2")) == ["a = b = 1", "a = 2"]
    assert after(cell("a = b = 1"), cell("a = 2"), cell("a = 3")) == ["a = b = 1", "a = 3"]


def test_cells_without_names_are_the_same_when_their_text_is() -> None:
    assert after(cell("print(1)"), cell("print(2)"), cell("print(1)")) == ["print(1)", "print(2)"]


def test_modules_have_names_of_their_own() -> None:
    assert after(cell("a = 1", module="one"), cell("a = 2", module="two")) == ["a = 1", "a = 2"]
    assert after(cell("a = 1", "7", "one"), cell("a = 1", "7", "two")) == ["a = 1"]


def test_a_cell_that_is_exported_no_more_is_taken_out() -> None:
    assert without_cell([cell("a = 1", "1"), cell("b = 1", "2")], "1") == (cell("b = 1", "2"),)


# -- what cannot be exported


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("x = 1\n%matplotlib inline", "line 2 of the exported cell is not plain Python: %matplotlib inline"),
        ("!ls", "line 1 of the exported cell is not plain Python: !ls"),
        ("x = 1\n\nx?", "line 3 of the exported cell is not plain Python: x?"),
        ("files = !ls", "line 1 of the exported cell is not plain Python: files = !ls"),
        ("await thing()", "put the await in a cell that is not exported"),
    ],
)
def test_only_plain_python_is_exported(source: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        cell(source)
    assert said in str(caught.value)


def test_a_magic_above_the_directive_is_no_silent_reason_to_stay_at_home() -> None:
    found = directive_of("%%time\n#| export\nx = 1")
    assert found is not None
    with pytest.raises(UsageError, match="line 1 of the exported cell is not plain Python: %%time"):
        cell(found.source)


def test_the_line_of_an_error_counts_from_the_top_of_the_cell() -> None:
    with pytest.raises(UsageError, match="line 4 of"):
        exported_cell("x = 1\n%time x", None, first_line=3)


def test_what_is_no_python_at_all_is_left_to_the_cell_itself() -> None:
    with pytest.raises(SyntaxError):
        cell("def f(:")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("json", "would hide the one of Python itself: choose another name, such as my_json"),
        ("flamepy", "would hide the one of what runs your calls"),
        ("nbformat", "would hide the one of an installed package: choose another name, such as my_nbformat"),
        ("a-b", "cannot be the name of a module"),
        ("class", "cannot be the name of a module"),
        ("taken", "because taken.py is there already"),
        ("parcel", "because parcel/__init__.py is there already"),
    ],
)
def test_a_module_hides_no_other_one(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "taken.py").touch()
    (tmp_path / "parcel").mkdir()
    (tmp_path / "parcel" / "__init__.py").touch()
    (tmp_path / "directory").mkdir()
    check_module_name("pipeline", tmp_path)
    check_module_name("directory", tmp_path)  # data of that name is no module
    with pytest.raises(UsageError) as caught:
        check_module_name(name, tmp_path)
    assert said in str(caught.value)


# -- the module


@pytest.mark.parametrize(
    ("stem", "module"),
    [
        ("model", "model_cells"),
        ("01 intro-part", "_01_intro_part_cells"),
        ("größe", "größe_cells"),
        ("class", "class_cells"),
    ],
)
def test_a_notebook_gives_its_module_a_name_that_can_be_imported(stem: str, module: str) -> None:
    assert own_module(Path(f"/x/{stem}.ipynb")) == module
    assert module.isidentifier()


def test_future_imports_move_to_the_top_and_nothing_else_moves() -> None:
    source = assembled(
        [
            cell("def f(a: Unknown): return 1"),
            cell("from __future__ import annotations\nx = 'ü'; from __future__ import (\n  division,\n); y = 3"),
            cell('"""Text."""\nz = 4'),
        ],
        "here",
    )
    found = values(source)
    assert (found["x"], found["y"], found["z"]) == ("ü", 3, 4)
    assert source.index("from __future__") < source.index("def f") < source.index("x = ") < source.index("z = 4")


def test_equal_cells_give_an_equal_module() -> None:
    cells = [cell("a = 1"), cell("b = 2")]
    assert assembled(cells, "here") == assembled(list(cells), "here")
    assert assembled(cells, "here") != assembled(cells[::-1], "here")


def test_the_alias_is_the_same_module(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cells_of_test.py").write_text(assembled([cell("class A: ...")], "here"))
    (tmp_path / "alias_of_test.py").write_text(alias_of("cells_of_test"))
    monkeypatch.syspath_prepend(tmp_path)
    import importlib
    import sys

    alias, module = importlib.import_module("alias_of_test"), importlib.import_module("cells_of_test")
    assert alias.A is module.A
    for name in ("alias_of_test", "cells_of_test"):
        del sys.modules[name]


def test_undefined_names_are_found_in_order_and_once() -> None:
    source = (
        "import math\ndef f(a):\n    return math.pi * a + g(df) + df\nclass A:\n    other = [print(i) for i in h]\n"
    )
    assert undefined_names(source) == ("g", "df", "h")
    assert undefined_names("from os import *\nf = getcwd()") == ()
