# SPDX-License-Identifier: Apache-2.0
"""The pyproject.toml that a cluster's installer asks for, when the project has none."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass

PYPROJECT = "pyproject.toml"
PROJECT_FILES = frozenset({PYPROJECT, "setup.py", "setup.cfg"})


@dataclass(frozen=True)
class ProjectMetadata:
    """name: of the project; dependencies: requirements such as ``numpy>=2``, installed beside it."""

    name: str
    dependencies: tuple[str, ...] = ()


def has_project_file(paths: Iterable[str]) -> bool:
    """Would an installer find a project at the root of these paths?"""
    return not PROJECT_FILES.isdisjoint(paths)


def pyproject_for(project: ProjectMetadata) -> bytes:
    """A project of no modules of its own: workers import its files from the directory, not from an installation."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project.name).strip("._-") or "project"
    lines = [
        "[build-system]",
        'requires = ["setuptools>=61", "wheel"]',
        'build-backend = "setuptools.build_meta"',
        "",
        "[project]",
        f"name = {_toml(name)}",
        'version = "0.1.0"',
        'requires-python = ">=3.9"',
        f"dependencies = [{', '.join(map(_toml, sorted(project.dependencies)))}]",
        "",
        "[tool.setuptools]",
        "py-modules = []",
        "",
    ]
    return "\n".join(lines).encode()


def _toml(text: str) -> str:
    # a JSON string is a TOML basic string, as long as no surrogate pairs are written
    return json.dumps(text, ensure_ascii=False)
