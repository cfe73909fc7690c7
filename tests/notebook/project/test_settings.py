# SPDX-License-Identifier: Apache-2.0
"""Settings and who sets them: option > %config > environment > pyproject.toml > IPython's configuration > default."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import flame_jupyter
from flame_jupyter.settings.sources import SettingsSources, SettingsWarning
from flame_jupyter.settings.traits import FlameTraits
from tests.notebook.shells import Shell


def sources(environ: dict[str, str], config: Config | None = None) -> tuple[FlameTraits, SettingsSources]:
    settings = FlameTraits(config=config or Config())
    return settings, SettingsSources(settings, environ)


def write_project(directory: Path, text: str) -> None:
    (directory / "pyproject.toml").write_text(f"[project]\nname = 'x'\n[tool.flame_jupyter]\n{text}\n")


def test_each_source_wins_over_those_below_it(tmp_path: Path) -> None:
    config = Config()
    config.FlameTraits.display = "html"
    settings, without = sources({}, config)
    without.refresh(tmp_path)
    assert (settings.display, without.origin("display")) == ("html", "IPython's configuration")
    assert (settings.quiet, without.origin("quiet")) == (False, "default")
    write_project(tmp_path, "display = 'text'\nquiet = true")
    without.refresh(tmp_path)
    assert (settings.display, settings.quiet) == ("text", True)
    assert without.origin("display") == f"{tmp_path / 'pyproject.toml'} [tool.flame_jupyter]"
    settings, with_environment = sources({"FLAME_JUPYTER_DISPLAY": "widget"}, config)
    with_environment.refresh(tmp_path)
    assert (settings.display, settings.quiet) == ("widget", True)
    assert with_environment.origin("display") == "environment variable FLAME_JUPYTER_DISPLAY"
    settings.display = "auto"
    with_environment.set_by_hand(["display"])
    with_environment.refresh(tmp_path)
    assert (settings.display, with_environment.origin("display")) == ("auto", "%config")


def test_the_nearest_project_that_speaks_of_us_counts_and_paths_are_its_own(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    write_project(tmp_path, "root = 'src'\nmax-package-size = '2k'\ninclude = ['*.ipynb']")
    (inner / "pyproject.toml").write_text("[project]\nname = 'y'\n")
    settings, layers = sources({})
    layers.refresh(inner)
    assert settings.root == str(tmp_path / "src")
    assert (settings.max_package_size, settings.include) == ("2k", ["*.ipynb"])
    write_project(tmp_path / "a", "workers = 3")
    layers.refresh(inner)
    assert (settings.root, settings.workers, settings.include) == ("", 3, [])


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("quiet", "Yes", True),
        ("auto_start", "0", False),
        ("workers", "3", 3),
        ("settle_timeout", "2.5", 2.5),
        ("exclude", "*.csv, data/ ,", ["*.csv", "data/"]),
        ("root", "/somewhere", "/somewhere"),
        ("quiet", " ", False),
    ],
)
def test_the_environment_speaks_in_words(tmp_path: Path, name: str, text: str, value: object) -> None:
    settings, layers = sources({f"FLAME_JUPYTER_{name.upper()}": text})
    layers.refresh(tmp_path)
    assert getattr(settings, name) == value


@pytest.mark.parametrize(
    ("environ", "project", "said"),
    [
        ({"FLAME_JUPYTER_QUIET": "maybe"}, "", "FLAME_JUPYTER_QUIET: quiet must be a boolean, not 'maybe'. Print"),
        ({"FLAME_JUPYTER_WORKERS": "many"}, "", "FLAME_JUPYTER_WORKERS: workers must be an int"),
        ({"FLAME_JUPYTER_DISPLAY": "fancy"}, "", "display must be any of"),
        ({}, "workers = -1", "pyproject.toml [tool.flame_jupyter]: workers must be"),
        ({}, "include = 3", "include must be a list, not 3"),
        ({}, "workers = ", "pyproject.toml is not TOML: "),
    ],
)
def test_a_value_that_does_not_fit_names_its_source_and_the_cure(
    tmp_path: Path, environ: dict[str, str], project: str, said: str
) -> None:
    write_project(tmp_path, project)
    with pytest.raises(UsageError) as caught:
        sources(environ)[1].refresh(tmp_path)
    assert said in str(caught.value)


def test_something_else_than_a_table_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool]\nflame_jupyter = 3\n")
    with pytest.raises(UsageError, match=r"write \[tool.flame_jupyter\]"):
        sources({})[1].refresh(tmp_path)


def test_an_unknown_key_is_one_warning_with_a_guess(tmp_path: Path) -> None:
    write_project(tmp_path, "quite = true")
    _, layers = sources({"FLAME_JUPYTER_WORKRES": "3", "FLAME_JUPYTER_XYZ": "1"})
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        layers.refresh(tmp_path)
        layers.refresh(tmp_path)
    said = [str(each.message) for each in seen]
    assert [each.category for each in seen] == [SettingsWarning] * 3
    assert any("[tool.flame_jupyter] quite: there is no setting 'quite'. Did you mean 'quiet'?" in one for one in said)
    assert any("FLAME_JUPYTER_WORKRES: there is no setting 'workres'. Did you mean 'workers'?" in one for one in said)
    assert any("'xyz'. There are: auto_start, " in one for one in said)


def test_every_setting_has_its_line_in_the_reference() -> None:
    page = Path("docs/reference/configuration.md").read_text(encoding="utf-8")
    named = {name for line in page.splitlines() if line.startswith("| `") for name in re.findall(r"`(\w+)`", line)}
    assert set(FlameTraits().sources.names) <= named


# -- in a shell


def test_config_shows_what_counts_and_wins_until_an_option_says_otherwise(
    bare_shell: InteractiveShell, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_project(project, "workers = 3")
    bare_shell.run_line_magic("load_ext", "flame_jupyter")
    shell = Shell(bare_shell)
    assert shell.run("%config FlameMagics.workers").value == 3
    assert "Worker processes of the embedded engine" in shell.run("%config FlameMagics").printed
    shell.run("r = %flame_runner start")
    assert shell["r"].worker_limit == 3
    shell.run("%flame_runner stop --quiet")
    shell.run("%config FlameMagics.workers = 2")
    shell.run("r = %flame_runner start")
    assert shell["r"].worker_limit == 2
    shell.run("r = %flame_runner start --workers 1")
    assert shell["r"].worker_limit == 1


def test_an_edited_project_counts_at_the_next_start(shell: Shell, project: Path) -> None:
    write_project(project, "exclude = ['*.csv']")
    (project / "big.csv").write_text("1,2")
    plan = shell.run("%flame_runner package --dry-run").value
    assert [row.path for row in plan.rows if row.is_included] == ["pyproject.toml"]
    write_project(project, "")
    plan = shell.run("%flame_runner package --dry-run").value
    assert "big.csv" in [row.path for row in plan.rows if row.is_included]


def test_a_wrong_setting_is_one_line_when_the_extension_loads(bare_shell: InteractiveShell, project: Path) -> None:
    write_project(project, "display = 'fancy'")
    shell = Shell(bare_shell)
    assert "display must be any of" in shell.mistake("%load_ext flame_jupyter")
    write_project(project, "display = 'html'")
    shell.run("%load_ext flame_jupyter")
    assert shell.run("%config FlameMagics.display").value == "html"


def test_a_wrong_name_in_config_gets_a_guess(shell: Shell) -> None:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        printed = shell.run("%config FlameMagics.quite = True").printed
    assert "quiet" in printed + " ".join(str(each.message) for each in seen)


def lazily(shell: InteractiveShell) -> Any:
    """As ipython_config.py does it."""
    config = Config()
    config.MagicsManager.lazy_magics = flame_jupyter.LAZY_MAGICS
    manager: Any = shell.magics_manager
    manager.update_config(config)
    return manager


def test_the_magics_load_the_extension_when_they_are_first_used(bare_shell: InteractiveShell) -> None:
    manager = lazily(bare_shell)
    shell = Shell(bare_shell)
    assert "FlameMagics" not in manager.registry
    shell.run("%%flame_service square --quiet\ndef square(x):\n    return x * x")
    assert shell.run("square(3).get()").value == 9
    assert "FlameMagics" in manager.registry


@pytest.mark.parametrize("magic", ["flame_service", "flame_export"])
def test_a_cell_magic_below_the_first_line_says_so_when_nothing_is_loaded_yet(
    bare_shell: InteractiveShell, magic: str
) -> None:
    lazily(bare_shell)
    said = Shell(bare_shell).mistake(f"# a comment\n%%{magic} f\ndef f():\n    pass")
    assert said == f"UsageError: %%{magic} must be the first line of its cell."
