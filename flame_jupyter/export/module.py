# SPDX-License-Identifier: Apache-2.0
"""From exported cells to the text of a module, and the names that it may have. Looks at the disk for names only."""

from __future__ import annotations

import ast
import importlib.util
import keyword
import re
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from IPython.core.error import UsageError

from flame_jupyter.export.cells import ExportedCell

DEFAULT_MODULE = "notebook_cells"
MARK = "# Exported from cells of"  # what a file begins with that was not written by hand
_TAKEN = frozenset({"flamepy", "flame_jupyter", "IPython", "__init__", "__main__"})


def own_module(notebook: Path | None) -> str:
    """The module of a notebook's own: ``<stem>_cells``; the same for all while the notebook's name is not known."""
    if notebook is None:
        return DEFAULT_MODULE
    stem = re.sub(r"\W", "_", notebook.stem)
    return f"_{stem}_cells" if stem[:1].isdecimal() else f"{stem}_cells"


def check_module_name(name: str, root: Path | None) -> None:
    """Can cells be exported under this name? root: of the package, None = not known. Raises UsageError."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{name!r} cannot be the name of a module: write for example '#| export pipeline'.")
    if owner := _owner_of(name):
        raise UsageError(f"a module {name!r} would hide the one of {owner}: choose another name, such as my_{name}.")
    if root is None:
        return
    for taken in (root / f"{name}.py", root / name / "__init__.py"):
        if taken.exists():
            raise UsageError(
                f"the cell cannot be exported as {name!r}, because {taken.relative_to(root)} is there already: "
                "choose another module, or import from that file."
            )


def assembled(cells: Iterable[ExportedCell], origin: str) -> str:
    """The text of the module: the cells in their order, ``from __future__`` at the top."""
    futures: dict[str, None] = {}
    parts = []
    for number, cell in enumerate(cells, 1):
        source, asked = _without_futures(cell.source)
        futures.update(dict.fromkeys(asked))
        parts.append(f"# --- cell {number}\n{source.strip()}\n")  # not its label: that changes when it runs again
    head = [f"{MARK} {origin}. Change the notebook, not this file."]
    if futures:
        head.append(f"from __future__ import {', '.join(futures)}")
    return "\n\n".join(["\n".join(head), *parts])


def alias_of(module: str) -> str:
    """A module that is another one, so that a class has one identity under both names."""
    return f"{MARK} the notebook.\nimport sys\n\nimport {module}\n\nsys.modules[__name__] = {module}\n"


def _owner_of(name: str) -> str:
    """Whose module of that name workers need; "" when it is free. The package comes first on their path."""
    if name in sys.stdlib_module_names:
        return "Python itself"
    if name in _TAKEN:
        return "what runs your calls"
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):  # a module without a specification, such as one made by hand
        return ""
    places = [] if spec is None else [spec.origin, *(spec.submodule_search_locations or ())]
    installed = {Path(sysconfig.get_path(each)) for each in ("purelib", "platlib")}
    is_installed = any(not installed.isdisjoint(Path(place).parents) for place in places if place)
    return "an installed package" if is_installed else ""


def _without_futures(source: str) -> tuple[str, list[str]]:
    """The source without its ``from __future__`` statements, and what they import."""
    asked: list[str] = []
    lines = source.encode().split(b"\n")  # the columns of a syntax tree count bytes
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            asked[:0] = [alias.name for alias in node.names]
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
            is_alone = not before.strip() and not after.strip(b" \t;")
            lines[first : last + 1] = [] if is_alone else [before + b"pass" + after]
    return b"\n".join(lines).decode(), asked
