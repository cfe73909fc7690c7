# SPDX-License-Identifier: Apache-2.0
"""The exported cells of one notebook, in order, and what a cell that runs again takes the place of. Pure."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from IPython.core.error import UsageError
from IPython.core.inputtransformer2 import TransformerManager

from flame_jupyter.cells.definitions import awaits_at_top_level, definitions_of

SHORT_HASH_CHARS = 8


@dataclass(frozen=True)
class ExportedCell:
    """One cell. module: the name of its module, None = the notebook's own.

    names: what it binds at its top level; label: how people know the cell; cell_id: of front ends that send one.
    """

    module: str | None
    source: str
    names: frozenset[str]
    label: str = ""
    cell_id: str | None = None

    @property
    def short_hash(self) -> str:
        return hashlib.sha256(self.source.encode()).hexdigest()[:SHORT_HASH_CHARS]

    def is_replaced_by(self, other: ExportedCell) -> bool:
        """Does ``other`` stand for this cell, because it is the same one, or defines all that this one does?"""
        if self.cell_id is not None and self.cell_id == other.cell_id:
            return True
        if self.module != other.module:
            return False
        return self.names <= other.names if self.names else self.source == other.source


def exported_cell(
    source: str, module: str | None, *, label: str = "", cell_id: str | None = None, first_line: int = 1
) -> ExportedCell:
    """Read a cell. first_line: what its first line is called in an error. Raises UsageError, SyntaxError."""
    tree = _parsed(source, first_line)
    if awaits_at_top_level(tree):
        raise UsageError("a module cannot await outside of a function: put the await in a cell that is not exported.")
    defined = definitions_of(tree)
    return ExportedCell(module, source, frozenset(defined.services + defined.others), label, cell_id)


def with_cell(cells: Iterable[ExportedCell], cell: ExportedCell) -> tuple[ExportedCell, ...]:
    """``cell`` in the place of the first one that it replaces, and without the others; else at the end."""
    kept: list[ExportedCell] = []
    is_placed = False
    for each in cells:
        if not each.is_replaced_by(cell):
            kept.append(each)
        elif not is_placed:
            is_placed = True
            kept.append(cell)
    return tuple(kept) if is_placed else (*kept, cell)


def without_cell(cells: Iterable[ExportedCell], cell_id: str) -> tuple[ExportedCell, ...]:
    return tuple(each for each in cells if each.cell_id != cell_id)


def _parsed(source: str, first_line: int) -> ast.Module:
    """The syntax tree. IPython's own syntax is an error that says so, and where."""
    try:
        return ast.parse(source)
    except SyntaxError as error:
        try:
            ast.parse(TransformerManager().transform_cell(source))
        except SyntaxError:
            raise error from None  # not Python with or without IPython: the cell itself fails
        number = error.lineno or 1
        text = source.split("\n")[number - 1].strip()
        raise UsageError(
            f"line {number + first_line - 1} of the exported cell is not plain Python: {text}. "
            "Move what begins with %, ! or ends with ? to a cell that is not exported."
        ) from error
