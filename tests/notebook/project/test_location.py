# SPDX-License-Identifier: Apache-2.0
"""Where the notebook is and what gets packaged: each front end tells it in its own way, and some not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.error import UsageError

import flame_jupyter
from flame_jupyter.project.jupyter_server import path_from_server
from flame_jupyter.project.location import NotebookPlace, notebook_place, own_checkouts, project_root, runner_name
from tests.notebook.shells import Shell

VSCODE = "__vsc_ipynb_file__"


@pytest.fixture
def books(tmp_path: Path) -> Path:
    directory = tmp_path / "books"
    directory.mkdir()
    return directory


def told_by(place: NotebookPlace | None) -> tuple[str, str] | None:
    return None if place is None else (place.path.name, place.source)


# -- the path


@pytest.mark.parametrize(
    ("variables", "session", "server", "told"),
    [
        pytest.param({VSCODE: "a.ipynb"}, "b.ipynb", "c.ipynb", ("a.ipynb", VSCODE), id="VS Code wins"),
        pytest.param({}, "b.ipynb", "c.ipynb", ("c.ipynb", "the Jupyter server"), id="the server knows of renames"),
        pytest.param({}, "b.ipynb", None, ("b.ipynb", "JPY_SESSION_NAME"), id="JupyterLab and Notebook 7"),
        pytest.param({}, None, "c.ipynb", None, id="a server is asked only by its own kernels"),
        pytest.param({"__session__": "d.ipynb"}, None, None, ("d.ipynb", "__session__"), id="the session variable"),
        pytest.param({}, "/gone/away/b.ipynb", None, None, id="its directory is gone"),
        pytest.param({VSCODE: 7, "__session__": "console"}, None, None, None, id="what is no notebook"),
        pytest.param({}, None, None, None, id="nbconvert, papermill, plain IPython"),
    ],
)
def test_the_notebooks_path_comes_from_the_front_end_or_is_unknown(
    tmp_path: Path,
    variables: dict[str, object],
    session: str | None,
    server: str | None,
    told: tuple[str, str] | None,
) -> None:
    environ = {} if session is None else {"JPY_SESSION_NAME": session}
    assert told_by(notebook_place(variables, environ, tmp_path, lambda: server)) == told


def test_relative_paths_are_below_the_working_directory(tmp_path: Path) -> None:
    place = notebook_place({VSCODE: "a.ipynb"}, {}, tmp_path)
    assert place is not None
    assert place.path == tmp_path / "a.ipynb"


@pytest.mark.parametrize(
    ("library", "answer"),
    [
        ("def path(): return '/books/a.ipynb'", "/books/a.ipynb"),
        ("def path(): [][0]", None),
        ("import threading\ndef path(): threading.Event().wait()", None),
        (None, None),
    ],
    ids=["answers", "raises IndexError", "hangs", "is not installed"],
)
def test_the_server_is_asked_through_ipynbname_which_may_fail_hang_or_be_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str | None, answer: str | None
) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "ipynbname", raising=False)
    if library is None:
        monkeypatch.setitem(sys.modules, "ipynbname", None)
    else:
        (tmp_path / "ipynbname.py").write_text(library)
        monkeypatch.syspath_prepend(tmp_path)
    assert path_from_server(0.2) == answer
    sys.modules.pop("ipynbname", None)


# -- the root


def test_the_root_is_what_was_chosen_else_where_the_notebook_is(tmp_path: Path, books: Path) -> None:
    (tmp_path / "chosen").mkdir()
    place = NotebookPlace(books / "a.ipynb", "JPY_SESSION_NAME")
    chosen = {"FLAME_NOTEBOOK_ROOT": "chosen"}
    roots = [
        project_root("chosen", "books", {}, place, tmp_path),
        project_root(None, "chosen", {}, place, tmp_path),
        project_root(None, "", chosen, place, tmp_path),
        project_root(None, "", {}, place, tmp_path),
        project_root(None, "", {}, None, tmp_path),
    ]
    assert [(each.path.name, each.source) for each in roots] == [
        ("chosen", "--root"),
        ("chosen", "%config FlameMagics.root"),
        ("chosen", "FLAME_NOTEBOOK_ROOT"),
        ("books", "notebook path, JPY_SESSION_NAME"),
        (tmp_path.name, "working directory"),
    ]
    with pytest.raises(UsageError, match="no such directory"):
        project_root("nowhere", "", {}, None, tmp_path)


def test_a_scripted_notebook_is_not_where_a_server_says_another_one_is(tmp_path: Path, books: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = NotebookPlace(books / "a.ipynb", "JPY_SESSION_NAME")

    def root(cwd: Path, *, is_scripted: bool) -> Path:
        return project_root(None, "", {}, place, cwd, is_scripted=is_scripted).path

    assert root(elsewhere, is_scripted=True) == elsewhere  # papermill, started from a terminal of JupyterLab
    assert root(elsewhere, is_scripted=False) == books
    assert root(tmp_path, is_scripted=True) == books


def test_a_home_directory_and_the_disk_are_packaged_only_when_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"your home directory.*--root"):
        project_root(None, "", {"HOME": str(tmp_path)}, None, tmp_path)
    with pytest.raises(UsageError, match="the whole disk"):
        project_root(None, "", {}, None, Path("/"))
    assert project_root(str(tmp_path), "", {"HOME": str(tmp_path)}, None, tmp_path).is_chosen


@pytest.mark.parametrize(
    ("notebook", "name"),
    [
        (None, "notebook-ab12"),
        (Path("Mein Büro.ipynb"), "mein-b-ro-ab12"),
        (Path("---.ipynb"), "notebook-ab12"),
        (Path("x" * 90 + ".ipynb"), "x" * 40 + "-ab12"),
    ],
)
def test_a_runner_name_is_one_that_engines_accept(notebook: Path | None, name: str) -> None:
    assert runner_name(notebook, "ab12") == name


# -- a checkout of this project


def checkout(directory: Path) -> Path:
    """A directory that looks like a checkout of this project, with a module of the user's in it."""
    for name in (
        "flamepy/__init__.py",
        "flame_jupyter/__init__.py",
        "docs/a.md",
        "tests/test_a.py",
        "mine/__init__.py",
    ):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text("")
    for name in ("pyproject.toml", "README.md", "helper.py"):
        (directory / name).write_text("")
    return directory


def test_a_checkout_of_ours_is_not_packaged_by_surprise(
    shell: Shell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "helper.py").write_text("VALUE = 1")
    checkout(project / "flame-jupyter")
    assert (
        "(1 file, 9 B)" in shell.run("%%flame_service f\ndef f():\n    import helper\n    return helper.VALUE").printed
    )
    assert shell.run("f().get()").value == 1
    shell.run("%flame_runner stop")
    inside = checkout(project / "clone")
    monkeypatch.chdir(inside)
    shell.run("plan = %flame_runner package --dry-run")
    assert {row.path for row in shell["plan"].rows if row.is_included} == {"helper.py", "mine/", "mine/__init__.py"}
    shell.run("plan = %flame_runner package --dry-run --root .")
    assert shell["plan"].files == 8, "whoever names it gets it"


def test_what_workers_can_import_from_nowhere_else_stays_in(tmp_path: Path) -> None:
    root = checkout(tmp_path / "clone")
    assert "flamepy" not in own_checkouts(root, ["", str(root)])
    assert "flamepy" in own_checkouts(root, [str(root), str(checkout(tmp_path / "installed"))])
    assert own_checkouts(tmp_path / "installed" / "docs", []) == ()
    assert own_checkouts(tmp_path / "not there", []) == ()


def test_everything_of_the_checkout_is_known() -> None:
    root = Path(flame_jupyter.__file__).parent.parent
    listed = subprocess.run(["git", "-C", root, "ls-files"], capture_output=True, text=True, check=False)
    tracked = {line.partition("/")[0] for line in listed.stdout.splitlines()} - {".gitignore"}
    if not tracked:
        pytest.skip("not a checkout")
    assert tracked == set(own_checkouts(root, [])) | {"flamepy", "flame_jupyter"}


def test_a_kernel_whose_directory_was_removed_keeps_its_services_and_says_so(shell: Shell, project: Path) -> None:
    shell.run("%%flame_service f\ndef f(x): return x")
    (project / "gone").mkdir()
    shell.run("import os; os.chdir('gone'); os.rmdir(os.getcwd())")
    assert shell.run("f(1).get()").value == 1
    for cell in ("%%flame_service f --quiet\ndef f(x): return x + 1", "%flame_runner restart"):
        assert shell.mistake(cell).startswith("UsageError: the working directory of this kernel has been removed.")
    assert shell.run("f(2).get()").value == 2
    report = shell.run("%flame_runner doctor").value.report
    assert [each.subject for each in report.wrong] == ["notebook", "root"]
    shell.run(f"%cd -q {project}")
    shell.run("%flame_runner restart")
    assert shell.run("f(3).get()").value == 3


@pytest.mark.parametrize("entry", ["{place}", "../more", ".."])
def test_services_import_from_what_the_notebook_adds_to_its_path(
    shell: Shell, project: Path, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = project.parent / ("more" if "more" in entry or "{" in entry else ".")
    place.mkdir(exist_ok=True)
    (place / "added_later.py").write_text("VALUE = 7\n")
    monkeypatch.setattr(sys, "path", [*sys.path])
    shell.run("%%flame_service first\ndef first(): return 1")
    assert shell.run("first().get()").value == 1
    shell.run(f"import sys; sys.path.insert(0, {entry.format(place=place)!r}); import added_later")
    shell.run("%%flame_service outside\ndef outside(): return added_later.VALUE")
    shell.run("%%flame_service inside\ndef inside():\n    import added_later\n    return added_later.VALUE")
    assert shell.run("outside().get(), inside().get()").value == (7, 7)
    shell.run("%flame_runner restart --quiet")
    assert shell.run("outside().get(), inside().get()").value == (7, 7)
    del sys.modules["added_later"]
