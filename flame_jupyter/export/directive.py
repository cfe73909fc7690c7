# SPDX-License-Identifier: Apache-2.0
"""Is a cell exported, and into which module? Pure: the text of a cell in, the wish that it states out."""

from __future__ import annotations

import re
from dataclasses import dataclass

_DIRECTIVE = re.compile(r"#\s*\|\s*export(?:\s+(?P<module>\S+))?\s*\Z")
_SERVICE_MAGIC = re.compile(r"%%flame_service(?![^\s])")
_PYTHON_MAGIC = re.compile(r"%%(?:time|timeit|capture|prun|debug)(?![^\s])")
_EXPORT_MAGIC = re.compile(r"%%flame_export(?:[ \t]+(?P<module>[^\s-]\S*))?(?:[ \t]+--\S+)*[ \t]*\Z")


@dataclass(frozen=True)
class Directive:
    """A cell that is exported. module: as it names it, None = the notebook's own; first_line: of ``source`` in it."""

    module: str | None
    source: str
    first_line: int = 1


def directive_of(cell: str) -> Directive | None:
    """What the comment ``#| export [MODULE]`` in the first lines asks for, also below ``%%flame_service``.

    Below another magic that runs Python, such as ``%%time``, it is meant too: the magic is then part of the source,
    which is an error that says so, and not a cell that silently stays at home.
    """
    lines = cell.split("\n")
    skipped = next((index for index, line in enumerate(lines) if line.strip()), len(lines))
    if skipped < len(lines) and _SERVICE_MAGIC.match(lines[skipped]):
        lines[: skipped + 1] = [""] * (skipped + 1)  # the lines keep their numbers
        skipped += 1
    is_timed = skipped < len(lines) and _PYTHON_MAGIC.match(lines[skipped]) is not None
    for line in lines[skipped + is_timed :]:
        text = line.strip()
        if text and not text.startswith("#"):
            return None
        if found := _DIRECTIVE.match(text):
            return Directive(found["module"], "\n".join(lines[skipped:]), skipped + 1)
    return None


def saved_directive_of(cell: str) -> Directive | None:
    """The same for a cell that is not run, of a notebook on the disk: there ``%%flame_export`` is text as well."""
    first, _, body = cell.lstrip("\n").partition("\n")
    if found := _EXPORT_MAGIC.match(first):
        return Directive(found["module"], body, 2)
    return directive_of(cell)
