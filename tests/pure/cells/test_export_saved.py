# SPDX-License-Identifier: Apache-2.0
"""Exported cells of notebooks on the disk: siblings of the running one, and ``flame-jupyter export``."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import nbformat
import pytest

from flame_jupyter.export.cells import exported_cell
from flame_jupyter.export.command import main
from flame_jupyter.export.exports import Exports, ExportWarning
from flame_jupyter.export.siblings import Siblings


def save(path: Path, cells: Sequence[str], language: str = "python") -> Path:
    node = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "k", "display_name": "k", "language": language}})
    node.cells = [nbformat.v4.new_code_cell(each) for each in cells]
    node.cells.append(nbformat.v4.new_markdown_cell("#| export\nprose"))
    nbformat.write(node, path)
    return path


def modules(root: Path, running: Path | None = None) -> dict[str, str]:
    found = Siblings().read(root, running)
    assert not [each.problem for each in found.values() if each.problem]
    return {name: content.decode() for each in found.values() for name, content in each.modules.items()}


# -- siblings


def test_the_exported_cells_of_a_sibling_are_a_module_of_its_name(tmp_path: Path) -> None:
    save(tmp_path / "model.ipynb", ["#| export\nx = 1", "y = 2", "%%flame_export tools\nz = 3", "#| export\nw = 4"])
    save(tmp_path / "plain.ipynb", ["x = 1"])
    save(tmp_path / "statistics.ipynb", ["#| export\nx <- 1"], language="R")
    found = modules(tmp_path)
    assert found.keys() == {"model_cells", "tools"}
    assert "x = 1" in found["model_cells"]
    assert "w = 4" in found["model_cells"]
    assert "y = 2" not in found["model_cells"]
    assert "prose" not in found["model_cells"]
    assert "z = 3" in found["tools"]


def test_the_running_notebook_is_no_sibling_of_its_own(tmp_path: Path) -> None:
    running = save(tmp_path / "model.ipynb", ["#| export\nx = 1"])
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    assert modules(tmp_path, running) == {}
    assert modules(tmp_path, tmp_path / "link" / "model.ipynb") == {}
    assert modules(tmp_path, tmp_path / "gone.ipynb").keys() == {"model_cells"}


def test_a_sibling_that_is_half_written_gives_nothing_and_the_others_do(tmp_path: Path) -> None:
    save(tmp_path / "whole.ipynb", ["#| export\nx = 1"])
    torn = save(tmp_path / "torn.ipynb", ["#| export\ny = 1"])
    whole = torn.read_bytes()
    siblings = Siblings()
    for end in range(len(whole) - 2):  # the last bytes are a brace and a newline
        torn.write_bytes(whole[:end])
        found = siblings.read(tmp_path, None)
        assert list(found[tmp_path / "whole.ipynb"].modules) == ["whole_cells"]
        assert found[torn].modules == {}
        says = found[torn].problem
        assert not says or says.startswith("the exported cells of torn.ipynb are not shipped: ")
    assert says
    torn.write_bytes(whole)
    assert list(siblings.read(tmp_path, None)[torn].modules) == ["torn_cells"]


def test_a_sibling_that_was_saved_again_is_read_again(tmp_path: Path) -> None:
    siblings = Siblings()
    path = save(tmp_path / "model.ipynb", ["#| export\nx = 1"])
    first = siblings.read(tmp_path, None)[path]
    assert siblings.read(tmp_path, None)[path] is first
    save(path, ["#| export\nx = 1000"])
    assert b"x = 1000" in siblings.read(tmp_path, None)[path].modules["model_cells"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"cells": [ #| export', "cannot be read as a notebook"),
        ('{"export": "| export"}', "cannot be read as a notebook"),
        (["#| export\n!ls"], "line 2 of the exported cell is not plain Python: !ls"),
        (["#| export json\nx = 1"], "would hide the one of Python itself"),
        (["#| export\ndef f(:"], "invalid syntax"),
    ],
)
def test_a_malformed_sibling_is_one_warning_that_names_it(tmp_path: Path, content: str | list[str], said: str) -> None:
    path = tmp_path / "broken.ipynb"
    path.write_text(content) if isinstance(content, str) else save(path, content)
    save(tmp_path / "model.ipynb", ["#| export\nx = 1"])
    exports = Exports()
    with pytest.warns(ExportWarning) as caught:
        files = exports.files(tmp_path, None)
    assert len(caught) == 1
    assert "broken.ipynb" in str(caught[0].message)
    assert said in str(caught[0].message)
    assert files.keys() == {"model_cells.py"}
    assert exports.files(tmp_path, None) == files  # and it is said once


def test_the_running_notebook_wins_over_a_sibling_that_exports_to_the_same_module(tmp_path: Path) -> None:
    save(tmp_path / "old.ipynb", ["#| export tools\nx = 'old'"])
    exports = Exports()
    exports.put(exported_cell("x = 'new'", "tools"))
    with pytest.warns(ExportWarning, match=r"'tools' of old\.ipynb is not shipped"):
        files = exports.files(tmp_path, None)
    assert b"new" in files["tools.py"]


# -- the notebook's own


def test_cells_without_a_module_are_notebook_cells_and_the_notebooks_own_name(tmp_path: Path) -> None:
    exports = Exports()
    exports.put(exported_cell("x = 1", None))
    assert exports.files(tmp_path, None).keys() == {"notebook_cells.py"}
    files = exports.files(tmp_path, tmp_path / "my model.ipynb")
    assert files.keys() == {"notebook_cells.py", "my_model_cells.py"}
    assert b"import notebook_cells" in files["my_model_cells.py"]


def test_a_file_of_the_notebooks_own_name_stays_what_it_is(tmp_path: Path) -> None:
    main(["export", str(save(tmp_path / "model.ipynb", ["#| export\nx = 'saved'"]))])
    exports = Exports()
    exports.put(exported_cell("x = 'running'", None))
    with pytest.warns(ExportWarning, match=r"import model_cells from the file model_cells\.py") as caught:
        files = exports.files(tmp_path, tmp_path / "model.ipynb")
    assert len(caught) == 1
    assert files.keys() == {"notebook_cells.py"}


def test_a_name_that_is_used_and_not_exported_is_one_warning(tmp_path: Path) -> None:
    exports = Exports()
    exports.put(exported_cell("def f():\n    return df, g()", None))
    with pytest.warns(ExportWarning) as caught:
        exports.files(tmp_path, None)
    said = "`df`, `g` are used in notebook_cells.py but not exported; workers will raise NameError. "
    assert [str(each.message) for each in caught] == [said + "Export the cell that defines them too."]
    assert caught[0].filename == __file__
    exports.put(exported_cell("df = g = None", None))
    exports.files(tmp_path, None)


# -- cells --write


def test_a_module_is_written_to_a_file_and_over_one_that_was_written_before(tmp_path: Path) -> None:
    exports = Exports()
    exports.put(exported_cell("x = 1", "tools"))
    target = tmp_path / "anything.py"
    assert "module 'tools', 1 cells" in exports.write(target, None)
    exports.put(exported_cell("x = 2", "tools"))
    exports.write(target, None)
    assert "x = 2" in target.read_text()
    assert len(exports) == 1


def test_a_file_that_becomes_the_module_takes_the_place_of_the_cells(tmp_path: Path) -> None:
    exports = Exports()
    exports.put(exported_cell("x = 1", "tools"))
    exports.put(exported_cell("y = 1", "other"))
    said = exports.write(tmp_path / "tools.py", tmp_path)
    assert "takes the place of the exported cells. Take '#| export tools' out of them." in said
    assert exports.files(tmp_path, None).keys() == {"other.py"}


def test_writing_needs_cells_a_clear_name_and_a_free_place(tmp_path: Path) -> None:
    exports = Exports()
    with pytest.raises(Exception, match="no cell is exported"):
        exports.write(tmp_path / "x.py", None)
    exports.put(exported_cell("x = 1", "one"))
    (tmp_path / "one.py").write_text("by hand")
    with pytest.raises(Exception, match="was not written by this command"):
        exports.write(tmp_path / "one.py", None)
    with pytest.raises(Exception, match="Give a file in a directory that exists"):
        exports.write(tmp_path / "no" / "one.py", None)
    exports.put(exported_cell("x = 1", "two"))
    with pytest.raises(Exception, match="name the file after one of the modules: one, two"):
        exports.write(tmp_path / "x.py", None)


# -- the command


def test_the_command_writes_the_modules_and_prints_their_files(tmp_path: Path) -> None:
    notebook = save(tmp_path / "model.ipynb", ["#| export\nx = 1", "#| export tools\nx = 2"])
    arguments = [
        sys.executable,
        "-m",
        "flame_jupyter.export.command",
        "export",
        str(notebook),
        "-o",
        str(tmp_path / "out"),
    ]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == [str(tmp_path / "out" / name) for name in ("model_cells.py", "tools.py")]
    assert "x = 2" in (tmp_path / "out" / "tools.py").read_text()


def test_the_command_puts_modules_beside_the_notebook_and_writes_its_own_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = save(tmp_path / "model.ipynb", ["#| export\nx = 1"])
    assert main(["export", str(notebook)]) == 0
    save(notebook, ["#| export\nx = 2"])
    assert main(["export", str(notebook)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "model_cells.py")] * 2
    assert "x = 2" in (tmp_path / "model_cells.py").read_text()


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["x = 1"], "no cell is exported. Begin those that are wanted"),
        (["#| export\n%time x"], "line 2 of the exported cell is not plain Python"),
        (["#| export taken\nx = 1", "#| export free\nx = 1"], "taken.py is there already, and was not made from cells"),
    ],
)
def test_the_command_fails_with_the_cure_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cells: list[str], said: str
) -> None:
    (tmp_path / "taken.py").write_text("by hand")
    assert main(["export", str(save(tmp_path / "model.ipynb", cells))]) == 1
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.py")] == ["taken.py"]


def test_the_command_says_that_a_notebook_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "no.ipynb")]) == 1
    assert "no.ipynb cannot be read as a notebook" in capsys.readouterr().err
