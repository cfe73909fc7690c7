# SPDX-License-Identifier: Apache-2.0
"""A few rows of a table, whichever library made it, as text that fits on a page. Runs where the value is.

Nothing is imported that the value has not brought.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

from flame_jupyter.display.model.formatting import head

MAX_COLUMNS = 40
MAX_CELL_CHARS = 120
CELL = "text-align:left;padding:2px 12px 2px 0;white-space:pre-wrap;overflow-wrap:anywhere;vertical-align:top"


@dataclass(frozen=True)
class Grid:
    """rows: those from number ``first`` on, the row's own name in front; total: how many there are in the value."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    first: int
    total: int
    hidden_columns: int = 0

    def html(self, caption: str) -> str:
        """A plain table with named columns and rows, everything escaped."""
        titles = "".join(f'<th scope="col" style="{CELL}">{escape(each)}</th>' for each in self.columns)
        body = "".join(
            f'<tr><th scope="row" style="{CELL};font-weight:400">{escape(row[0])}</th>'
            + "".join(f'<td style="{CELL}">{escape(cell)}</td>' for cell in row[1:])
            + "</tr>"
            for row in self.rows
        )
        corner = f'<td style="{CELL}"></td>'
        return (
            f'<table aria-label="{escape(caption)}" style="border-collapse:collapse;font-size:inherit;margin:2px 0">'
            f"<thead><tr>{corner}{titles}</tr></thead><tbody>{body}</tbody></table>"
        )


def grid_of(value: Any, *, first: int, count: int) -> Grid | None:
    """Rows ``first`` to ``first + count`` of a table or an array; None for everything else."""
    for module, name, read in _READERS:
        if is_a(value, module, name):
            found = read(value, first, count)
            if found is None:
                return None
            total, names, rows, labels = found
            cut = tuple((_cell(label), *map(_cell, row[:MAX_COLUMNS])) for label, row in zip(labels, rows, strict=True))
            shown = tuple(_cell(each) for each in names[:MAX_COLUMNS])
            return Grid(shown, cut, first, total, max(len(names) - MAX_COLUMNS, 0))
    return None


def is_a(value: object, module: str, name: str) -> bool:
    """Isinstance without importing: a value of that class has brought its module with it."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(value, kind)


_Read = tuple[int, list[Any], list[list[Any]], list[Any]]


def _pandas(frame: Any, first: int, count: int) -> _Read:
    part = frame.iloc[first : first + count, :MAX_COLUMNS]
    columns = [part.iloc[:, number].tolist() for number in range(part.shape[1])]
    return len(frame), list(frame.columns), _rows(columns, len(part)), part.index.tolist()


def _pandas_series(series: Any, first: int, count: int) -> _Read:
    part = series.iloc[first : first + count]
    name = "value" if series.name is None else series.name
    return len(series), [name], [[each] for each in part.tolist()], part.index.tolist()


def _polars(frame: Any, first: int, count: int) -> _Read:
    rows = [list(row) for row in frame.slice(first, count).rows()]
    return frame.height, list(frame.columns), rows, _numbers(first, rows)


def _arrow(table: Any, first: int, count: int) -> _Read:
    part = table.slice(first, count)
    rows = _rows([column.to_pylist() for column in part.columns[:MAX_COLUMNS]], part.num_rows)
    return table.num_rows, list(table.column_names), rows, _numbers(first, rows)


def _numpy(array: Any, first: int, count: int) -> _Read | None:
    if array.ndim not in (1, 2) or array.dtype.names:
        return None
    part = array[first : first + count]
    rows = [list(row) for row in part[:, :MAX_COLUMNS]] if array.ndim == 2 else [[each] for each in part]
    names = list(range(array.shape[1])) if array.ndim == 2 else ["value"]
    return len(array), names, rows, _numbers(first, rows)


def _rows(columns: list[list[Any]], count: int) -> list[list[Any]]:
    return [[column[number] for column in columns] for number in range(count)]


def _numbers(first: int, rows: list[list[Any]]) -> list[Any]:
    return list(range(first, first + len(rows)))


def _cell(value: object) -> str:
    return head(str(value), max_chars=MAX_CELL_CHARS)


_READERS: tuple[tuple[str, str, Callable[[Any, int, int], _Read | None]], ...] = (
    ("pandas", "DataFrame", _pandas),
    ("pandas", "Series", _pandas_series),
    ("polars", "DataFrame", _polars),
    ("pyarrow", "Table", _arrow),
    ("numpy", "ndarray", _numpy),
)
