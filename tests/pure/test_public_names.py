# SPDX-License-Identifier: Apache-2.0
"""The front door: everything is there, and nothing is loaded before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import flamepy

HEAVY = {
    "asyncio", "cloudpickle", "concurrent.futures", "flamepy.config", "flamepy.engine", "flamepy.runner", "grpc",
    "IPython", "ipywidgets", "logging", "multiprocessing", "numpy", "pandas", "pathspec", "pyarrow", "socket",
    "subprocess", "threading", "yaml",
}  # fmt: skip


def loaded_by(statement: str) -> set[str]:
    """The modules that ``statement`` loads in a fresh interpreter."""
    program = f"import sys; before = set(sys.modules); {statement}; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_flamepy_loads_nothing_heavy() -> None:
    loaded = loaded_by("import flamepy")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("flamepy.")} == set()


def test_the_errors_and_the_records_need_no_engine() -> None:
    loaded = loaded_by(
        "from flamepy import FlameError, ObjectRef, Task, ApplicationAttributes, FlameContext, FlamePackage"
    )
    assert not loaded & {"cloudpickle", "numpy", "yaml", "flamepy.engine", "flamepy.runner", "IPython", "grpc"}


def test_storages_load_their_libraries_when_they_are_used() -> None:
    heavy = {"aiohttp", "botocore", "email", "fsspec", "http.client", "s3fs", "ssl", "tqdm", "urllib3"}
    assert not loaded_by("from flamepy.packaging import open_storage; open_storage('file:///packages')") & heavy
    named = loaded_by(
        "from flamepy.packaging import open_storage as at; at('s3://packages'); at('https://host/packages')"
    )
    assert not named & {"aiohttp", "botocore", "fsspec", "s3fs", "tqdm", "urllib3"}


@pytest.mark.parametrize("name", flamepy.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(flamepy, name) is not None
    assert name in dir(flamepy)


def test_public_names_are_listed_once() -> None:
    assert len(set(flamepy.__all__)) == len(flamepy.__all__)


def test_type_checkers_see_the_names_that_programs_get() -> None:
    tree = ast.parse(Path(flamepy.__file__).read_text())
    guarded = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (f"{node.module}", name.name)
        for node in guarded.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    given = {(home, name) for home, names in flamepy._HOMES.items() for name in names}
    assert seen == given | {("flamepy", name) for name in flamepy._SUBMODULES}
    assert {name for _, name in seen} | {"__version__"} == set(flamepy.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'flamepy' has no attribute 'Runer'"):
        flamepy.Runer  # noqa: B018 - looking is the test


def test_the_version_is_a_release_number() -> None:
    assert flamepy.__version__[0].isdigit()


def test_the_import_paths_of_older_programs_give_the_same_names() -> None:
    from flamepy import rl, runner, util

    assert rl.Runner is runner.Runner is flamepy.Runner
    assert rl.RunnerService is flamepy.RunnerService
    assert rl.ObjectFuture is flamepy.ObjectFuture
    assert util.short_name("a", length=3)[:2] == "a-"
    assert len(util.short_name("a", length=3)) == 5
