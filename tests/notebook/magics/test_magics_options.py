# SPDX-License-Identifier: Apache-2.0
"""What the options and settings of the magics do to workers, packages and names, as a user sees it."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from flame_jupyter.display import Settings
from flame_jupyter.lines import SUBCOMMANDS
from flame_jupyter.project.location import MAX_UNASKED_FILES
from flame_jupyter.settings.preferences import preferences_of
from flamepy.engine.current import current_engine
from flamepy.runner import UnsupportedOptionWarning
from tests.notebook.shells import Shell
from tests.signs import worker_pids

PID = "%%flame_service pid {options}\nimport os\ndef pid(_):\n    return os.getpid()"


def included(shell: Shell, line: str) -> set[str]:
    return {row.path for row in shell.run(line).value.rows if row.is_included}


# -- %flame_runner start


def test_root_include_and_exclude_say_what_is_packaged(shell: Shell, project: Path) -> None:
    source = project / "src"
    source.mkdir()
    for name in ("code.py", "book.ipynb", "data.csv"):
        (source / name).write_text("1")
    (project / "beside.py").write_text("1")
    asked = "%flame_runner package --dry-run --root src --include *.ipynb --exclude *.csv"
    assert included(shell, asked) == {"code.py", "book.ipynb"}
    for setting in ("root = 'src'", "include = ['*.ipynb']", "exclude = ['*.csv']"):
        shell.run(f"%config FlameMagics.{setting}")
    assert included(shell, "%flame_runner package --dry-run") == {"code.py", "book.ipynb"}
    shell.run("%flame_runner start --quiet")
    shell.run("%%flame_service files --quiet\nimport os\ndef files():\n    return sorted(os.listdir())")
    assert shell.run("files().get()").value == ["book.ipynb", "code.py"]
    assert "already open without this --exclude" in shell.mistake("%flame_runner start --exclude *.txt")


def test_the_notebook_that_vs_code_names_is_where_the_package_begins(shell: Shell, project: Path) -> None:
    folder = project / "folder"
    folder.mkdir()
    (folder / "helper.py").write_text("WORD = 'found'\n")
    (project / "outside.py").write_text("")
    shell.ip.user_ns["__vsc_ipynb_file__"] = str(folder / "book.ipynb")
    assert included(shell, "%flame_runner package --dry-run") == {"helper.py"}
    shell.run("%%flame_service word --quiet\ndef word():\n    import helper\n    return helper.WORD")
    assert shell.run("word().get()").value == "found"
    assert shell.run("r = %flame_runner start\nr.name").value.startswith("book-")


def test_max_package_size_is_the_limit_of_every_start(shell: Shell, project: Path) -> None:
    (project / "big.bin").write_bytes(b"x" * 3000)
    shell.run("%config FlameMagics.max_package_size = '2k'")
    assert "big.bin" in shell.mistake("%flame_runner start")
    shell.run("%flame_runner start --max-size 4k --quiet")


def test_fail_if_exists_refuses_to_join(shell: Shell) -> None:
    shell.run("import flamepy\nother = flamepy.Runner('taken')")
    said = shell.mistake("%flame_runner start --name taken --fail-if-exists")
    assert said == (
        "UsageError: --fail-if-exists: there is an application 'taken'. Leave the option out to join it, or choose "
        "another name with --name."
    )
    shell.run("%flame_runner start --name taken --quiet")


def test_a_directory_with_thousands_of_files_is_packaged_only_when_it_is_named(shell: Shell, project: Path) -> None:
    """error case: root is a directory with > 5,000 files"""
    for number in range(MAX_UNASKED_FILES + 1):
        (project / f"{number}.txt").touch()
    said = shell.mistake("%flame_runner start")
    assert f"has {MAX_UNASKED_FILES + 1} files, which nobody asked to package: name the directory" in said
    assert "--root DIR" in said
    shell.run(f"%flame_runner package --dry-run --root {project}")


def test_without_auto_start_a_service_asks_for_the_runner(shell: Shell) -> None:
    shell.run("%config FlameMagics.auto_start = False")
    said = shell.mistake(PID.format(options=""))
    assert said == "UsageError: no Runner is started, and auto_start is off: run %flame_runner start first."
    shell.run("%flame_runner start --quiet")
    shell.run(PID.format(options=""))


@pytest.mark.parametrize("subcommand", sorted(SUBCOMMANDS))
def test_every_subcommand_can_be_quiet(shell: Shell, subcommand: str) -> None:
    """common conventions: `--quiet` on everything"""
    shell.run(PID.format(options="--quiet"))
    shell.run("other = pid(1); other.get()")
    operands = {"attach": "pid --as again", "inspect": "other", "use": "here", "logs": "other"}
    result = shell.run_any(f"%flame_runner {subcommand} {operands.get(subcommand, '')} --quiet")
    if subcommand == "use":
        assert "no context 'here'" in result.printed
        return
    lines = result.printed.splitlines()
    is_asked_for = subcommand in ("logs", "services", "contexts", "doctor", "cells", "package", "inspect")
    assert result.error is None
    assert is_asked_for or lines == []


# -- %%flame_service


def test_fixed_is_one_worker(shell: Shell) -> None:
    shell.run(PID.format(options="--fixed --warmup 1 --quiet"))
    assert len(set(shell.run("[each.get() for each in [pid(n) for n in range(20)]]").value)) == 1


def test_resreq_is_checked_and_where_workers_have_no_resources_of_their_own_that_is_said(shell: Shell) -> None:
    with pytest.warns(
        UnsupportedOptionWarning, match="resreq has no effect here: the embedded engine cannot"
    ) as caught:
        shell.run(PID.format(options="--resreq cpu=1,mem=2g,gpu=0 --quiet"))
    assert len(caught) == 1
    pid = shell.run("pid(1).get()").value
    assert pid in worker_pids(current_engine())
    assert "gpu=x" in shell.mistake(PID.format(options="--resreq gpu=x"))


def test_what_the_users_own_code_warns_of_while_it_is_served_is_told_as_their_filters_say(shell: Shell) -> None:
    cell = (
        "%%flame_service loud --resreq cpu=1 --quiet\nimport warnings\nclass Loud:\n    def __reduce__(self):\n"
        "        warnings.warn('seen', UserWarning)\n        warnings.warn('hidden', ResourceWarning)\n"
        "        return Loud, ()\n    def number(self):\n        return 3\nloud = Loud()"
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", ResourceWarning)
        shell.run(cell)
    told = {str(each.message): each for each in caught}
    assert "hidden" not in told
    assert "ipython-input" in told["seen"].filename or "ipykernel" in told["seen"].filename
    assert told["seen"].lineno == 5  # where it was raised
    assert len(told) == 2, "and that resreq has no effect"
    assert shell.run("loud.number().get()").value == 3


def test_retries_start_a_call_again_when_its_worker_is_lost(shell: Shell, tmp_path: Path) -> None:
    body = f"import os\ndef once():\n    try:\n        os.mkdir({str(tmp_path / 'tried')!r})\n"
    body += "    except FileExistsError:\n        return 'again'\n    os._exit(3)"
    shell.run(f"%%flame_service once --retries 1 --quiet\n{body}")
    assert shell.run("once().get()").value == "again"


def test_name_is_shown_and_as_is_the_variable(shell: Shell) -> None:
    shell.run(PID.format(options="--name processes --as number_of --quiet"))
    assert shell.run("number_of(1).get() > 0").value
    table = shell.run("%flame_runner services").value
    (row,) = [each.cells() for each in table.services]
    assert row[:2] == ("processes (variable number_of)", "function")
    assert row[5] == "1"
    assert "processes" in table._repr_html_()
    shell.run("%flame_runner attach processes --as same --quiet")
    assert shell.run("same(1).get() > 0").value


def test_after_flamepy_was_shut_down_a_restart_serves_everything_anew(shell: Shell) -> None:
    shell.run(PID.format(options="--quiet"))
    shell.run("import flamepy\nflamepy.shutdown()")
    shell.run("%flame_runner restart --quiet")
    assert shell.run("pid(1).get() > 0").value


def test_warmup_starts_workers_before_the_first_call(shell: Shell) -> None:
    shell.run("%flame_runner start --workers 3 --quiet")
    shell.run(PID.format(options="--warmup 3 --quiet"))
    assert len(current_engine().workers()) == 3


# -- settings of the display


def test_settings_of_the_display_reach_it(shell: Shell) -> None:
    given = {
        "display": "'html'",
        "settle": "'keep-widget'",
        "settle_timeout": "1.5",
        "max_live_widgets": "7",
        "preview_fetch_max": "100",
        "preview_html_max": "200",
    }
    for name, value in given.items():
        shell.run(f"%config FlameMagics.{name} = {value}")
    preferences = preferences_of(shell.ip)
    assert preferences is not None
    settings = preferences.settings()
    assert settings == Settings("html", 1.5, settings.settle_after_s, "keep-widget", 7, settings.limits)
    assert (settings.limits.fetch_bytes, settings.limits.html_chars) == (100, 200)


def test_voila_replaces_no_output_so_widgets_stay(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    preferences = preferences_of(shell.ip)
    assert preferences is not None
    assert preferences.settings().settle == "static"
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.13")
    assert preferences.settings().settle == "keep-widget"
