# SPDX-License-Identifier: Apache-2.0
"""Exported cells of the running notebook: captured when they have run, shipped as modules, listed and dropped."""

from __future__ import annotations

import warnings
from pathlib import Path

import nbformat
import pytest

from flame_jupyter.export.exports import ExportWarning
from tests.notebook.shells import Shell

TRIPLE = "#| export\ndef triple(x):\n    return 3 * x"
USE = """%%flame_service use
def use(x):
    from notebook_cells import triple
    return triple(x)"""


def names(shell: Shell) -> list[tuple[str, str]]:
    """Module and names of each exported cell, in order."""
    table = shell.run("%flame_runner cells").value
    return [(each.module or "notebook_cells", ",".join(sorted(each.names))) for each in table.cells]


def run_as(shell: Shell, cell_id: str, source: str) -> None:
    """Run a cell of a front end that tells its id."""
    result = shell.ip.run_cell(source, store_history=True, cell_id=cell_id)
    result.raise_error()


# -- grammar: %%flame_export, #| export, %%flame_service --export, --no-run


def test_a_cell_with_the_directive_is_a_module_that_workers_import(shell: Shell, project: Path) -> None:
    shell.run(TRIPLE)
    assert shell.run("triple(2)").value == 6
    shell.run(USE)
    assert shell.run("use(2).get()").value == 6
    assert list(project.iterdir()) == []  # into the archive only


def test_the_cell_magic_exports_under_the_name_it_gives(shell: Shell) -> None:
    printed = shell.run("%%flame_export pipeline\nimport math\ndef area(r):\n    return round(math.pi * r * r)").printed
    assert "workers import it from pipeline" in printed
    shell.run("%%flame_service use\ndef use():\n    import pipeline\n    return pipeline.area(2)")
    assert shell.run("use().get(), area(1)").value == (13, 3)
    assert names(shell) == [("pipeline", "area,math")]
    assert shell.run("%%flame_export --quiet\nx = 1").printed == ""


def test_a_service_cell_exports_itself_with_an_option_or_the_directive(shell: Shell) -> None:
    body = "def triple(x):\n    return 3 * x"
    shell.run(f"%%flame_service triple --export tools\n{body}")
    shell.run(f"%%flame_service triple --export\n{body}")
    shell.run(f"%%flame_service triple\n#| export more\n{body}")
    assert names(shell) == [("tools", "triple"), ("notebook_cells", "triple"), ("more", "triple")]
    shell.run("%%flame_service use\ndef use():\n    import more, notebook_cells, tools\n    return tools.triple(2)")
    assert shell.run("use().get(), triple(3).get()").value == (6, 9)


def test_no_run_exports_without_running_or_serving(shell: Shell) -> None:
    printed = shell.run("%%flame_service f --no-run --export heavy\nimport no_such_module_here\ndef f(): ...").printed
    assert "workers import it from heavy; nothing was run here" in printed
    assert names(shell) == [("heavy", "f,no_such_module_here")]
    assert "f" not in shell.ip.user_ns


def test_the_export_magic_below_the_first_line_says_where_it_belongs(shell: Shell) -> None:
    said = "%%flame_export must be the first line of its cell."
    assert said in shell.mistake("# a comment\n%%flame_export\nx = 1")
    assert "cell magic `%%flame_export` exists" in shell.mistake("%flame_export")


# -- rules: what is kept, and when


def test_a_cell_is_exported_only_when_it_has_succeeded(shell: Shell) -> None:
    shell.run_any("#| export\nx = 1\n1 / 0")
    shell.run_any("%%flame_export\ny = 1\n1 / 0")
    assert names(shell) == []
    assert "no exported cells" in repr(shell.run("%flame_runner cells").value)
    shell.run("z = 1")
    assert names(shell) == []


def test_a_cell_that_runs_again_takes_its_own_place(shell: Shell) -> None:
    run_as(shell, "a", "#| export\nx = 1")
    run_as(shell, "b", "#| export\ny = x")
    run_as(shell, "a", "#| export\nx = renamed = 2")
    assert names(shell) == [("notebook_cells", "renamed,x"), ("notebook_cells", "y")]
    run_as(shell, "a", "x = 3")  # the directive is gone
    assert names(shell) == [("notebook_cells", "y")]


def test_without_ids_of_cells_the_names_tell_which_one_is_meant(shell: Shell) -> None:
    shell.run("#| export\nx = 1")
    shell.run("#| export\ny = 1")
    shell.run("#| export\nx = 2")
    assert names(shell) == [("notebook_cells", "x"), ("notebook_cells", "y")]


def test_a_cell_that_runs_again_unchanged_makes_no_new_package(shell: Shell) -> None:
    shell.run(TRIPLE)
    shell.run(USE)
    shell.run(TRIPLE + "\n")
    assert "use: unchanged" in shell.run(USE).printed
    shell.run(TRIPLE.replace("3", "30"))
    printed = shell.run(USE).printed
    assert "use: redefined" in printed
    assert "because notebook_cells.py changed" in printed
    assert shell.run("use(2).get()").value == 60


def test_an_unknown_path_leaves_the_default_name_alone_and_a_known_one_adds_its_own(
    shell: Shell, project: Path
) -> None:
    shell.ip.user_ns["__vsc_ipynb_file__"] = str(project / "my model.ipynb")
    shell.run("#| export\nclass A: ...")
    shell.run(
        "%%flame_service same\ndef same():\n    import my_model_cells, notebook_cells\n"
        "    return my_model_cells.A is notebook_cells.A"
    )
    assert shell.run("same().get()").value is True


def test_future_imports_of_a_later_cell_reach_the_whole_module(shell: Shell) -> None:
    shell.run("#| export\nx = 1")
    shell.run("#| export\nfrom __future__ import annotations\ndef f(a: int | float): ...")
    shell.run(
        "%%flame_service use\ndef use():\n    import notebook_cells\n    return notebook_cells.f.__annotations__['a']"
    )
    assert shell.run("use().get()").value == "int | float"


# -- mistakes


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%flame_export\nx = 1\n!ls", "line 3 of the exported cell is not plain Python: !ls"),
        ("%%flame_export flamepy\nx = 1", "would hide the one of what runs your calls"),
        ("%%flame_service f --export a-b\ndef f(): ...", "cannot be the name of a module"),
        ("%flame_runner cells --drop nothing", "no exported cell defines 'nothing'. There are: none."),
        ("%flame_runner cells --write x.py", "no cell is exported"),
    ],
)
def test_what_cannot_be_exported_is_one_line_and_the_cell_does_not_run(
    shell: Shell, project: Path, cell: str, said: str
) -> None:
    (project / "helper.py").write_text("")
    printed = shell.mistake(cell)
    assert said in printed
    assert "Traceback" not in printed
    assert "x" not in shell.ip.user_ns
    assert names(shell) == []


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("#| export\nx = 1\n%time y = 1", "line 3 of the exported cell is not plain Python: %time y = 1"),
        ("#| export\n!true\nx = 1", "line 2 of the exported cell is not plain Python: !true"),
        ("%%time\n#| export\nx = 1", "line 1 of the exported cell is not plain Python: %%time"),
        ("#| export json\nx = 1", "would hide the one of Python itself"),
        ("#| export helper\nx = 1", "because helper.py is there already"),
        ("#| export\nx = await asyncio.sleep(0, 1)", "put the await in a cell that is not exported"),
    ],
)
def test_a_cell_with_a_directive_that_cannot_be_exported_runs_and_says_once_that_it_is_left_out(
    shell: Shell, project: Path, cell: str, said: str
) -> None:
    (project / "helper.py").write_text("")
    shell.run("import asyncio")
    shell.run("#| export\ndef kept(): ...")
    printed = shell.run(cell).printed
    assert printed.count("this cell is not exported") == 1
    assert said in printed
    assert shell["x"] == 1
    assert names(shell) == [("notebook_cells", "kept")]


def test_a_cell_that_is_no_python_shows_its_own_error_once(shell: Shell) -> None:
    result = shell.run_any("#| export\ndef f(:\n    pass")
    assert isinstance(result.error, SyntaxError)
    assert result.printed.count("SyntaxError") == 1


def test_a_name_that_is_used_and_not_exported_is_one_warning_at_the_users_cell(shell: Shell) -> None:
    shell.run("df = 1")
    start = "%flame_runner start --as r\nimport sys; where = sys._getframe().f_code.co_filename"
    shell.run("#| export\ndef total():\n    return df")
    with pytest.warns(ExportWarning, match="`df` is used in notebook_cells.py but not exported") as caught:
        shell.run(start)
    assert len(caught) == 1
    assert caught[0].filename == shell["where"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shell.run(USE)


# -- %flame_runner cells


def test_cells_are_listed_with_module_names_and_hash(shell: Shell) -> None:
    shell.run("#| export\nx = 1")
    shell.run("#| export tools\ndef f(): ...")
    table = shell.run("%flame_runner cells").value
    first, second = repr(table).split("\n")[1:]
    assert first.split()[:4] == ["1", "notebook_cells", "x", "In[1]"]
    assert second.split()[:4] == ["2", "tools", "f", "In[2]"]
    assert ">tools</td>" in table._repr_html_()


def test_cells_are_dropped_by_name_by_module_and_all(shell: Shell) -> None:
    for cell in ("#| export\nx = 1", "#| export tools\ny = 1", "#| export tools\nz = 1", "#| export more\nv = 1"):
        shell.run(cell)
    assert "1 cell dropped" in shell.run("%flame_runner cells --drop x").printed
    assert "2 cells dropped" in shell.run("%flame_runner cells --drop tools").printed
    assert names(shell) == [("more", "v")]
    assert "1 cell dropped" in shell.run("%flame_runner cells --clear").printed
    assert names(shell) == []


def test_cells_are_written_to_a_file_on_demand(shell: Shell, project: Path) -> None:
    shell.run("#| export tools\nx = 1")
    assert "takes the place of the exported cells" in shell.run("%flame_runner cells --write tools.py").printed
    assert "x = 1" in (project / "tools.py").read_text()
    assert names(shell) == []


def test_options_of_cells_belong_to_cells(shell: Shell) -> None:
    assert "--drop belongs to '%flame_runner cells'" in shell.mistake("%flame_runner start --drop x")


# -- the package


def test_a_dry_run_lists_exported_cells_of_this_notebook_and_its_siblings(shell: Shell, project: Path) -> None:
    node = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("#| export\nw = 4")])
    nbformat.write(node, project / "other.ipynb")
    shell.run(TRIPLE)
    plan = shell.run("%flame_runner package --dry-run").value
    rows = {row.path: row for row in plan.rows}
    assert rows["notebook_cells.py"].rule == rows["other_cells.py"].rule == "exported cells"
    assert rows["notebook_cells.py"].size_bytes > 0
    assert plan.files == 2
    assert "exported cells" in repr(plan)
    assert "built-in *.ipynb" in rows["other.ipynb"].rule
    shell.run("%%flame_service use\ndef use():\n    import other_cells\n    return other_cells.w")
    assert shell.run("use().get()").value == 4


def test_the_archive_has_the_exported_cells_without_a_runner(shell: Shell) -> None:
    import tarfile

    shell.run(TRIPLE)
    with tarfile.open(shell.run("%flame_runner package").value) as tar:
        assert tar.getnames() == ["notebook_cells.py"]
