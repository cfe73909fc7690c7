# SPDX-License-Identifier: Apache-2.0
"""``--deps`` and ``--requirements``: what workers need, as the list that a Runner takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from IPython.core.error import UsageError


def dependencies_of(deps: Sequence[str], requirements: str | None, cwd: Path) -> list[str]:
    """The requirements of both, each once, in their order. Raises UsageError with file and line."""
    listed = [] if requirements is None else read_requirements(cwd / Path(requirements).expanduser())
    return list(dict.fromkeys((*deps, *listed)))


def read_requirements(file: Path) -> list[str]:
    """The lines of a requirements file. An option of pip in it is an error: nothing here would follow it."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"--requirements {file}: cannot read it: {reason}. Name a file of requirements.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        text = line.partition(" #")[0].strip()
        if text.startswith("-"):
            raise UsageError(
                f"--requirements {file}, line {number}: {text!r} is an option of pip, which is not run here: "
                "leave the line out, or name the packages themselves."
            )
        if text and not text.startswith("#"):
            found.append(text)
    return found
