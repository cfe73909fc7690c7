# SPDX-License-Identifier: Apache-2.0
"""Tables without lines and stripes, whatever the styles of the front end do to tables. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_TABLE = "border-collapse:collapse;border:0;font-size:inherit;margin:2px 0"
_CELL = "text-align:left;vertical-align:top;padding:1px 14px 1px 0;border:0;background:none;font-weight:400"


def cell(content: str, style: str = "", *, scope: str = "") -> str:
    """content: HTML. scope: ``row`` or ``col``, of which it is the name; "" = of none."""
    tag, of = ("th", f' scope="{scope}"') if scope else ("td", "")
    return f'<{tag}{of} style="{_CELL};{style}">{content}</{tag}>'


def table(rows: Iterable[Iterable[str]], *, head: Iterable[str] = (), name: str = "") -> str:
    """rows, head: of cells. name: for screen readers."""
    label = f' aria-label="{escape(name)}"' if name else ""
    titles = "".join(head)
    top = f"<thead><tr>{titles}</tr></thead>" if titles else ""
    lines = "".join(f'<tr style="background:none">{"".join(cells)}</tr>' for cells in rows)
    return f'<table{label} style="{_TABLE}">{top}<tbody>{lines}</tbody></table>'
