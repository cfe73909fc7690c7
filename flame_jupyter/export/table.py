# SPDX-License-Identifier: Apache-2.0
"""What ``%flame_runner cells`` shows: module, names, hash and order of the exported cells, as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass

from flame_jupyter.export.cells import ExportedCell
from flame_jupyter.export.module import DEFAULT_MODULE
from flame_jupyter.tables import table_html, table_text

_COLUMNS = ("", "module", "defines", "cell", "sha")
_NONE = "Flame: no exported cells. '#| export' in the first line of a cell makes one, when it runs."


@dataclass(frozen=True)
class CellTable:
    """The exported cells, in the order in which they stand in their modules."""

    cells: tuple[ExportedCell, ...]

    def __repr__(self) -> str:
        return "\n".join(table_text(_COLUMNS, self._rows())) or _NONE

    def _repr_html_(self) -> str:
        return table_html(_COLUMNS, self._rows()) or f"<p>{html.escape(_NONE)}</p>"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            (str(number), each.module or DEFAULT_MODULE, ", ".join(sorted(each.names)), each.label, each.short_hash)
            for number, each in enumerate(self.cells, 1)
        ]
