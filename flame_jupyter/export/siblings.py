# SPDX-License-Identifier: Apache-2.0
"""The other notebooks of the packaged directory: their exported cells travel as modules too.

A notebook is read again only when its file has changed, and parsed only when the word ``export`` is in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from IPython.core.error import UsageError

from flame_jupyter.export.saved import UnreadableNotebook, module_file, saved_modules

_MAYBE_EXPORTS = re.compile(rb"\|\s*export|%%flame_export")


@dataclass(frozen=True)
class Sibling:
    """What one notebook gives. modules: name -> content; problem: why it gives nothing, "" when it does."""

    modules: dict[str, bytes]
    problem: str = ""


class Siblings:
    """The notebooks beside the running one, remembered by the stamps of their files."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[tuple[int, int, int], Sibling]] = {}

    def read(self, root: Path, running: Path | None) -> dict[Path, Sibling]:
        """Every notebook at the top of ``root`` but the ``running`` one, whose cells come from the kernel."""
        found: dict[Path, Sibling] = {}
        known: dict[Path, tuple[tuple[int, int, int], Sibling]] = {}
        for path in sorted(root.glob("*.ipynb")):
            try:
                status = path.stat()
                if running is not None and running.exists() and path.samefile(running):
                    continue
            except OSError:  # removed since it was listed
                continue
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            before = self._known.get(path)
            sibling = before[1] if before is not None and before[0] == stamp else _sibling(path, root)
            known[path] = stamp, sibling
            found[path] = sibling
        self._known = known
        return found


def _sibling(path: Path, root: Path) -> Sibling:
    try:
        if not _MAYBE_EXPORTS.search(path.read_bytes()):
            return Sibling({})
        problems: list[str] = []
        modules = saved_modules(path, root, left_out=problems.append)
        files = {name: module_file(cells, path.name) for name, cells in modules.items()}
    except Exception as error:  # noqa: BLE001 - half a file, or one of another program, must not stop this notebook
        reason = error if isinstance(error, (UnreadableNotebook, UsageError, OSError)) else repr(error)
        return Sibling({}, f"the exported cells of {path.name} are not shipped: {reason}")
    return Sibling(files, "; ".join(problems))
