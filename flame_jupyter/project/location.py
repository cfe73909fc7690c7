# SPDX-License-Identifier: Apache-2.0
"""Where this notebook is: its path as far as front ends tell it, and the directory that gets packaged.

Pure functions of the environment and the user's variables, apart from asking whether a directory exists.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError

ROOT_VARIABLE = "FLAME_NOTEBOOK_ROOT"
SESSION_VARIABLE = "JPY_SESSION_NAME"  # an absolute path, set by a Jupyter server in its kernels; stale after a rename
_OWN_PACKAGES = ("flamepy", "flame_jupyter")
_OWN_ENTRIES = (
    ".ci", "benchmarks", "docs", "notebooks", "requirements", "scripts", "tests",
    "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "README.md", "mkdocs.yml", "pyproject.toml",
)  # fmt: skip
MAX_UNASKED_FILES = 5_000  # a directory with more was hardly meant to be packaged as a whole


@dataclass(frozen=True)
class ProjectRoot:
    """The directory to package. source: what named it; is_chosen: the user named it, it is not just where we are."""

    path: Path
    source: str
    is_chosen: bool


@dataclass(frozen=True)
class NotebookPlace:
    """A notebook's file. source: who told it."""

    path: Path
    source: str


def working_directory() -> Path:
    """Raises UsageError when it is gone."""
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise UsageError(
            "the working directory of this kernel has been removed. Change to one that exists (%cd DIR), or restart "
            "the kernel."
        ) from error


def notebook_place(
    variables: Mapping[str, Any], environ: Mapping[str, str], cwd: Path, server: Callable[[], str | None] = lambda: None
) -> NotebookPlace | None:
    """The notebook's file: VS Code and the Jupyter server tell it, nbconvert, papermill and terminals do not.

    server: asks the Jupyter server itself, which knows of renames; asked only when there is one.
    """
    session = environ.get(SESSION_VARIABLE)
    told = [
        ("__vsc_ipynb_file__", lambda: variables.get("__vsc_ipynb_file__")),
        ("the Jupyter server", server if session else lambda: None),
        (SESSION_VARIABLE, lambda: session),
        ("__session__", lambda: variables.get("__session__")),
    ]
    for source, ask in told:
        value = ask()
        if isinstance(value, str) and value.endswith(".ipynb"):
            path = cwd / value
            if path.parent.is_dir():  # stale after a rename of the directory
                return NotebookPlace(path, source)
    return None


def project_root(
    option: str | None,
    configured: str,
    environ: Mapping[str, str],
    notebook: NotebookPlace | None,
    cwd: Path,
    *,
    configured_by: str = "%config FlameMagics.root",
    is_scripted: bool = False,
) -> ProjectRoot:
    """The first of: ``--root``, the setting, the environment, the notebook's directory, the working directory.

    is_scripted: nbconvert, papermill or the like runs the notebook; what a server said of it to the program that
    started them may be about another one, so the working directory counts unless one lies in the other.
    Raises UsageError when it is no directory, or when it was not chosen and is a home directory or ``/``.
    """
    named = [("--root", option), (configured_by, configured), (ROOT_VARIABLE, environ.get(ROOT_VARIABLE))]
    for source, value in named:
        if value:
            path = cwd / Path(value).expanduser()
            if not path.is_dir():
                raise UsageError(f"{source} {value}: there is no such directory. Give the directory of your project.")
            return ProjectRoot(path.resolve(), source, is_chosen=True)
    root = ProjectRoot(cwd.resolve(), "working directory", is_chosen=False)
    if notebook is not None:
        directory = notebook.path.parent.resolve()
        if not is_scripted or directory.is_relative_to(root.path) or root.path.is_relative_to(directory):
            root = ProjectRoot(directory, f"notebook path, {notebook.source}", is_chosen=False)
    if root.path == Path(root.path.anchor) or root.path == _home(environ):
        what = "your home directory" if root.path.name else "the whole disk"
        raise UsageError(
            f"will not package {root.path}, because it is {what}: "
            "name the directory of your project with %flame_runner start --root DIR."
        )
    return root


def own_checkouts(root: Path, import_path: Sequence[str]) -> tuple[str, ...]:
    """What to leave out below ``root`` of a checkout of this very project, which is not meant for workers.

    import_path: where workers import from. What they could import from nowhere else stays in.
    """
    if _is_own_checkout(root):
        elsewhere = [each for each in import_path if each and Path(each).resolve() != root]
        is_installed = PathFinder.find_spec("flame_jupyter", elsewhere) is not None
        return (*_OWN_ENTRIES, *(_OWN_PACKAGES if is_installed else ()))
    try:
        with os.scandir(root) as entries:
            return tuple(f"{each.name}/" for each in entries if each.is_dir() and _is_own_checkout(Path(each.path)))
    except OSError:  # packaging will say why it cannot be read
        return ()


def _is_own_checkout(directory: Path) -> bool:
    return (directory / "pyproject.toml").is_file() and all(
        (directory / each / "__init__.py").is_file() for each in _OWN_PACKAGES
    )


def runner_name(notebook: Path | None, token: str) -> str:
    """A name that engines accept, and that two notebooks do not share by accident."""
    stem = "" if notebook is None else re.sub(r"[^a-z0-9_-]+", "-", notebook.stem.lower()).strip("-_")
    return f"{stem[:40] or 'notebook'}-{token}"


def _home(environ: Mapping[str, str]) -> Path | None:
    home = environ.get("HOME")
    return Path(home).resolve() if home else None
