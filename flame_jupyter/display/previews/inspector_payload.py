# SPDX-License-Identifier: Apache-2.0
"""What the inspector shows of a value: made where the value is, small enough to travel."""

from __future__ import annotations

from dataclasses import dataclass, replace

from flame_jupyter.display.model.snapshot import Preview
from flame_jupyter.display.previews.grid import Grid, grid_of
from flame_jupyter.display.previews.preview import Limits, preview, value_text

PAGE_ROWS = 20
TEXT_CHARS = 64_000


@dataclass(frozen=True)
class InspectorPayload:
    """grid: one page of a table; None when the value is none. text: the value in words, longer than a preview."""

    preview: Preview
    text: str
    grid: Grid | None = None


def payload_of(value: object, limits: Limits, first: int, count: int) -> InspectorPayload:
    """Never raises: what goes wrong is said."""
    shown = preview(value, limits)
    try:
        text = value_text(value, replace(limits, text_chars=TEXT_CHARS))
        grid = grid_of(value, first=first, count=count)
    except Exception as error:  # noqa: BLE001 - the representation is the user's code
        return InspectorPayload(shown, f"Showing this {type(value).__name__} raised {type(error).__name__}: {error}")
    return InspectorPayload(shown, text, grid)
