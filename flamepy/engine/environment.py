# SPDX-License-Identifier: Apache-2.0
"""What a Runner asks of its workers' Python, checked where nothing can be installed: on the embedded engine.

Workers there run this interpreter with its packages. So a wish is either true already, or an error with its cure.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Sequence

from flamepy.errors import InvalidArgument

_DISTRIBUTION = re.compile(r"\s*([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(.*)", re.DOTALL)


class EnvironmentWarning(UserWarning):
    """Something that was asked of the workers' environment cannot be checked here."""


def check_environment(dependencies: Sequence[str] | None, python_version: str | None) -> None:
    """Raises InvalidArgument when this interpreter is not what was asked for; warns about versions of packages."""
    if python_version is not None:
        check_python(python_version, sys.version_info[:3])
    if isinstance(dependencies, str):
        raise InvalidArgument(f"dependencies is the text {dependencies!r}: give a list, [{dependencies!r}].")
    for requirement in dependencies or ():
        _check_distribution(requirement)


def check_python(wanted: str, running: tuple[int, int, int]) -> None:
    """Is ``wanted`` (``3``, ``3.11`` or ``3.11.4``) the ``running`` version? Raises InvalidArgument."""
    parts = wanted.strip().split(".")
    if not all(each.isdecimal() for each in parts) or len(parts) > 3:
        raise InvalidArgument(f"python_version {wanted!r} is not a version: write for example '3.11'.")
    if tuple(map(int, parts)) != running[: len(parts)]:
        shown = ".".join(map(str, running))
        raise InvalidArgument(
            f"python_version is {wanted!r}, but the workers of the embedded engine run this program's Python, {shown}: "
            f"start the program with Python {wanted}, or leave python_version out."
        )


def _check_distribution(requirement: str) -> None:
    import importlib.metadata  # here, because few Runners ask for anything

    match = _DISTRIBUTION.match(requirement)
    if match is None:
        raise InvalidArgument(f"dependency {requirement!r} is not a requirement: write for example 'numpy>=1.26'.")
    name, condition = match.groups()
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise InvalidArgument(
            f"dependency {requirement!r} is not installed here, and the embedded engine installs nothing: its workers "
            f"use this program's packages. Run: {sys.executable} -m pip install '{requirement.strip()}'"
        ) from error
    if condition:
        warnings.warn(
            f"dependency {requirement!r}: the embedded engine installs nothing and does not check versions; "
            f"its workers use the {name} {version} that is installed here.",
            EnvironmentWarning,
            stacklevel=5,
        )
