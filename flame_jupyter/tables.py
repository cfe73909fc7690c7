# SPDX-License-Identifier: Apache-2.0
"""Tables for people, as text and as HTML that needs no script. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence


def table_text(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; no rows, no table."""
    if not rows:
        return []
    widths = [max(len(row[index]) for row in (columns, *rows)) for index in range(len(columns))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (columns, *rows)
    ]


def table_html(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A plain table, everything escaped."""
    if not rows:
        return ""
    left = 'style="text-align:left"'  # pages of notebooks put numbers first
    head = "".join(f'<th scope="col" {left}>{html.escape(each)}</th>' for each in columns)
    body = "".join("<tr>" + "".join(f"<td {left}>{html.escape(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
