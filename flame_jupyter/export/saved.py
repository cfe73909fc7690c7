# SPDX-License-Identifier: Apache-2.0
"""The exported cells of a notebook on the disk, read with nbformat. Pure, but for reading the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from flame_jupyter.export.cells import ExportedCell, exported_cell, with_cell
from flame_jupyter.export.directive import saved_directive_of
from flame_jupyter.export.module import assembled, check_module_name, own_module

if TYPE_CHECKING:
    from nbformat import NotebookNode


class UnreadableNotebook(Exception):
    """A file that should be a notebook cannot be read as one."""


def saved_modules(
    path: Path, root: Path | None, *, left_out: Callable[[str], object] | None = None
) -> dict[str, tuple[ExportedCell, ...]]:
    """The modules of a notebook: name -> cells in their order. root: what the modules must not hide a file of.

    left_out: is told of each cell that cannot be exported, and why; None = it is an error.
    Raises UnreadableNotebook, UsageError (a cell or a name that cannot be exported), SyntaxError.
    """
    node = _read(path)
    if not _is_python(node):
        return {}
    cells: tuple[ExportedCell, ...] = ()
    for number, each in enumerate(node.get("cells", ()), 1):
        if each.get("cell_type") != "code" or (found := saved_directive_of(each.get("source", ""))) is None:
            continue
        try:
            cell = exported_cell(
                found.source,
                found.module,
                label=f"cell {number}",
                cell_id=each.get("id", str(number)),
                first_line=found.first_line,
            )
        except (UsageError, SyntaxError) as error:
            if left_out is None:
                raise
            left_out(f"cell {number} of {path.name} is not shipped: {error}")
            continue
        cells = with_cell(cells, cell)
    return grouped(cells, own_module(path), root)


def grouped(cells: tuple[ExportedCell, ...], default: str, root: Path | None) -> dict[str, tuple[ExportedCell, ...]]:
    """The cells of each module, the notebook's own under the name ``default``. Raises UsageError."""
    modules: dict[str, tuple[ExportedCell, ...]] = {}
    for cell in cells:
        name = cell.module or default
        modules[name] = (*modules.get(name, ()), cell)
    for name in modules:
        check_module_name(name, root)
    return modules


def module_file(cells: tuple[ExportedCell, ...], origin: str) -> bytes:
    return assembled(cells, origin).encode()


def _read(path: Path) -> NotebookNode:
    import nbformat  # here, because few projects need it: 0.1 s, and 1.6 s more where jsonschema checks IRIs

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old files lack ids of cells, which we do not need
            node: NotebookNode = nbformat.read(path, as_version=4)
    except Exception as error:  # nbformat raises what its parsers raise
        reason = str(error).partition("\n")[0][:200] or type(error).__name__
        raise UnreadableNotebook(f"{path.name} cannot be read as a notebook: {reason}") from error
    return node


def _is_python(node: NotebookNode) -> bool:
    metadata = node.get("metadata", {})
    language = metadata.get("kernelspec", {}).get("language") or metadata.get("language_info", {}).get("name")
    return language in (None, "python")
