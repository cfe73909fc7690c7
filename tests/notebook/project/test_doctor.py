# SPDX-License-Identifier: Apache-2.0
"""The doctor: ``python -m flamepy doctor`` and ``%flame_runner doctor`` find what is wrong, and say what to do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from flamepy.tools.configuration import look_at_configuration
from flamepy.tools.findings import Finding, Level, Report
from flamepy.tools.hiding import NEEDED
from flamepy.tools.installation import kernel_problem
from flamepy.tools.machine import look_at_limits, look_at_places, writable
from flamepy.tools.selftest import run_self_test
from tests.notebook.kernels import Kernel
from tests.notebook.shells import Shell
from tests.projects.storage_servers import http_server

COMMAND = [sys.executable, "-m", "flamepy"]


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **environ}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, env=env, check=False)


def by_subject(findings: object) -> dict[str, Finding]:
    return {each.subject: each for each in findings}  # type: ignore[attr-defined]


# -- the command


def test_where_all_is_well_it_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    done = run("doctor", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    for heading in ("Installation", "Configuration", "Engine and limits", "Places to write to", "Self-test"):
        assert f"\n{heading}\n" in f"\n{done.stdout}"
    assert "ipykernel " in done.stdout
    assert f"{tmp_path} (packages are unpacked" in " ".join(done.stdout.split())  # a long path has a line of its own
    assert "the same flamepy" in done.stdout
    assert done.stdout.endswith("Everything that was looked at works.\n")
    assert list(tmp_path.iterdir()) == []


def test_another_owner_of_the_import_name_is_a_problem_with_a_cure(tmp_path: Path) -> None:
    other = tmp_path / "flamepy-0.6.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: flamepy\nVersion: 0.6.0\n")
    (other / "RECORD").write_text("flamepy/__init__.py,,\n")
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "WRONG: the distribution flamepy 0.6.0 owns the import name 'flamepy' too" in done.stdout
    assert "pip uninstall flamepy" in done.stdout
    assert "1 problem: import name." in done.stdout


def test_a_cluster_that_does_not_answer_is_said_and_no_call_waits_for_it() -> None:
    done = run("doctor", FLAME_ENDPOINT="http://127.0.0.1:1", FLAME_WORKERS="3")
    assert done.returncode == 1
    assert "http://127.0.0.1:1 (from FLAME_ENDPOINT)" in done.stdout
    assert "3 (from FLAME_WORKERS)" in done.stdout
    said = " ".join(done.stdout.split())
    assert "WRONG: http://127.0.0.1:1 does not answer (Connection refused)" in said
    assert "To run calls on this machine, unset FLAME_ENDPOINT." in said
    assert "Self-test" not in said


def test_the_command_line_names_its_commands() -> None:
    done = run("nothing")
    assert done.returncode == 2
    assert "doctor" in done.stderr
    assert "e2e" in done.stderr
    assert "leave out --fast" in run("doctor", "--fast").stderr
    assert "--tasks" in run("e2e", "--help").stdout


def test_files_that_are_named_like_modules_are_named_and_not_run(tmp_path: Path) -> None:
    for name in ("flamepy", "cloudpickle", "json", "statistics", "argparse", "helper", "plain"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('this was run')\n")
    (tmp_path / "yaml").mkdir()
    (tmp_path / "tqdm").mkdir()
    (tmp_path / "tqdm" / "__init__.py").write_text("")
    code = "import sys; del sys.path[0]; from flamepy.tools.doctor import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stdout.endswith("3 problems: cloudpickle.py, flamepy.py, tqdm.\n")
    words = " ".join(done.stdout.split())
    assert f"WRONG: {tmp_path}/tqdm takes the place of the installed tqdm -> Rename it" in words
    for name in ("json", "statistics", "argparse"):
        assert f"NOTE: {tmp_path}/{name}.py is named like a module of the standard library" in words


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("7.0.1", "WRONG: ipykernel 7.0.1 fails on what threads send"),
        ("7.1.0", "NOTE: 7.1.0 can overlook a cell"),
        ("7.3.0", "pip install 'ipykernel>=7.4'"),
        ("7.4.0", "Everything that was looked at works."),
    ],
)
def test_a_kernel_that_loses_messages_is_named_with_the_cure(tmp_path: Path, version: str, said: str) -> None:
    other = tmp_path / f"ipykernel-{version}.dist-info"
    other.mkdir()
    (other / "METADATA").write_text(f"Metadata-Version: 2.1\nName: ipykernel\nVersion: {version}\n")
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert said in " ".join(done.stdout.split())


def test_every_library_that_is_needed_is_looked_for() -> None:
    needed = [each for each in metadata.requires("flame-jupyter") or () if "extra ==" not in each]
    names = {re.split(r"[^\w.-]", each)[0] for each in needed}
    modules = {module for module, owners in metadata.packages_distributions().items() if names.intersection(owners)}
    assert modules - {"ipykernel_launcher"} <= NEEDED


# -- what it looks at


def test_each_configured_value_says_where_it_came_from(tmp_path: Path) -> None:
    file = tmp_path / "flame.yaml"
    file.write_text(
        "current-context: here\ncontexts:\n  - name: here\n    cache: {endpoint: 'grpc://h:1'}\n"
        "    package: {storage: 'file:///packages'}\n"
    )
    found = by_subject(look_at_configuration({"FLAME_CONF": str(file), "FLAME_MEMORY_LIMIT": "2g"}))
    assert found["file"].seen == f"{file} (named by FLAME_CONF), context 'here'"
    assert found["cache endpoint"].seen == "grpc://h:1 (from the file)"
    assert found["package storage"].seen == "file:///packages (from the file)"
    assert found["memory limit"].seen == f"{2 * 2**30} bytes (from FLAME_MEMORY_LIMIT)"
    assert "workers" not in found
    found = by_subject(look_at_configuration({"FLAME_CONF": str(file), "FLAME_CACHE_ENDPOINT": "grpc://h:2"}))
    assert found["cache endpoint"].seen == "grpc://h:2 (from FLAME_CACHE_ENDPOINT)"


def test_a_broken_file_is_a_problem_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "flame.yaml"
    file.write_text("current-context: here\ncontexts:\n  - name: there\n")
    (found,) = look_at_configuration({"FLAME_CONF": str(file)})
    assert found.level is Level.WRONG
    assert f"{file}, line 1" in found.seen
    assert "The file has 'there'." in found.cure


def test_a_cluster_file_without_a_package_section_is_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "flame.yaml"
    file.write_text("current-cluster: c\nclusters:\n  - name: c\n    endpoint: 'http://h:1'\n")
    found = by_subject(look_at_configuration({"FLAME_CONF": str(file)}))
    assert found["package"].level is Level.WRONG
    assert "package: {storage:" in found["package"].cure


def test_limits_and_places_say_what_they_are_made_of(private_home: Path) -> None:
    limits = by_subject(look_at_limits())
    assert f"the machine has {os.cpu_count()}" in limits["processors"].seen
    assert "one a processor" in limits["workers"].seen
    assert "GB" in limits["memory"].seen
    assert "open files" in limits
    places = by_subject(look_at_places())
    assert places["scratch"].level is Level.WELL
    assert "none is configured" in places["package storage"].seen


def test_a_storage_on_a_server_is_asked_and_its_password_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "flame.yaml"
    monkeypatch.setenv("FLAME_CONF", str(file))
    with http_server(user="ada:s3cret") as server:
        url = server.url.replace("//", "//ada:s3cret@")
        file.write_text(f"current-context: c\ncontexts: [{{name: c, package: {{storage: '{url}'}}}}]\n")
        assert by_subject(look_at_configuration())["package storage"].seen == f"{server.url} (from the file)"
        found = by_subject(look_at_places())["package storage"]
        assert (found.level, found.seen) == (Level.WELL, f"{server.url} (answers; nothing was written)")
        server.user = "ada:another"
        found = by_subject(look_at_places())["package storage"]
    assert found.level is Level.WRONG
    assert "the credentials are not accepted (HTTP 401" in found.cure
    assert "s3cret" not in f"{found}"


def test_a_place_that_cannot_be_written_to_is_a_problem(tmp_path: Path) -> None:
    assert writable("package storage", tmp_path / "made" / "later", "").level is Level.WELL
    (tmp_path / "file").write_text("")
    found = writable("package storage", tmp_path / "file", "")
    assert found.level is Level.WRONG
    assert "cannot be written to" in found.seen
    assert "choose another: package.storage" in found.cure


def test_the_self_test_measures_and_a_missing_answer_has_an_end(project: Path, nothing_is_left: None) -> None:
    found = by_subject(run_self_test())
    assert all(each.level is not Level.WRONG for each in found.values())
    assert "ms each, there and back" in found["next calls"].seen
    found = by_subject(run_self_test(timeout_s=0.0))
    assert found["first call"].level is Level.WRONG
    assert "no answer after 0 s" in found["first call"].seen


def test_the_report_has_a_cure_below_each_problem() -> None:
    problem = Finding("Places", "scratch", "is full", Level.WRONG, "Make room.")
    report = Report((Finding("Places", "home", "is fine"), problem))
    assert not report.is_well
    assert report.text().splitlines() == [
        "Places",
        "  home     is fine",
        "  scratch  WRONG: is full",
        "           -> Make room.",
        "",
        "1 problem: scratch.",
    ]


def test_the_one_broken_ipykernel_is_found_by_its_version() -> None:
    assert kernel_problem("7.0.1") is not None
    assert kernel_problem("7.4.0") is None


# -- in a notebook


@pytest.mark.parametrize("name", ["flamepy.py", "cloudpickle.py", "yaml/__init__.py"])
def test_a_file_in_the_place_of_what_the_extension_needs_is_one_line(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("raise RuntimeError('this was run')\n")
    code = (
        "from IPython.core.interactiveshell import InteractiveShell as Shell; "
        "Shell.instance().run_cell('%load_ext flame_jupyter')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    module = name.partition("/")[0].removesuffix(".py")
    (line,) = (done.stdout + done.stderr).splitlines()
    assert line.startswith(f"UsageError: {tmp_path}/{module}")
    assert f"takes the place of the installed {module}, which flame_jupyter needs: rename it" in line


def test_the_magic_adds_what_only_the_notebook_knows(
    shell: Shell, project: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAME_JUPYTER_LOG_BYTES", "500")
    shell.run("__session__ = 'book.ipynb'")
    shell.run("%reload_ext flame_jupyter")
    shell.run("%config FlameMagics.quiet = True")
    shell.run("report = %flame_runner doctor")
    found = by_subject(shell["report"].report.findings)
    assert found["notebook"].seen == f"{project / 'book.ipynb'} (from __session__)"
    assert found["root"].seen.startswith(f"{project} (from the notebook path")
    assert found["kernel"].seen == "none: a terminal"
    assert found["setting log_bytes"].seen == "500 (from environment variable FLAME_JUPYTER_LOG_BYTES)"
    assert found["setting quiet"].seen == "True (from %config)"
    assert "first call" in found
    assert "Everything that was looked at works" in repr(shell["report"])
    page = shell["report"]._repr_html_()
    assert "<th scope=" in page
    assert "✓ ok" in page


@pytest.mark.kernel
def test_in_a_kernel_it_knows_the_kernel_and_its_live_views(kernel: Kernel) -> None:
    (data,) = kernel.run("%flame_runner doctor").check().data
    assert "ipykernel" in data["text/plain"].partition("live views")[0]
    assert "ipywidgets and anywidget are there" in data["text/html"]


def test_a_home_directory_as_root_is_a_problem(shell: Shell, private_home: Path) -> None:
    os.chdir(private_home)
    found = by_subject(shell.run("%flame_runner doctor").value.report.findings)["root"]
    assert found.level is Level.WRONG
    assert "your home directory" in found.seen
    assert "%flame_runner start --root DIR" in found.seen + found.cure
