# SPDX-License-Identifier: Apache-2.0
"""The browser's half of the widgets: the files beside this one, as they are sent. Colours come from render/html."""

from __future__ import annotations

import re
from pathlib import Path

from flame_jupyter.display.render.html import COLOURS, INDENT_WIDTH

_HERE = Path(__file__).parent
_EXPORTED = re.compile(r"^export const ")
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def _script(name: str) -> str:
    """One module of the shared part and this file, without what only readers of the source need: each view sends it."""
    text = "\n".join((_HERE / each).read_text(encoding="utf-8") for each in ("common.js", name))
    lines = (_EXPORTED.sub("const ", line.strip()) for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "import ")))


def _style(name: str) -> str:
    text = "".join((_HERE / each).read_text(encoding="utf-8") for each in ("common.css", name))
    return f":is(.flame-view,.flame-pane){{--indent:{INDENT_WIDTH}}}" + _COMMENT.sub("", text).lstrip()


FUTURE_SCRIPT = _script("future.js")
PAGE_SCRIPT = _script("page.js")
TONES = "".join(f".flame-view[data-tone={tone}]{{--tone:{colour}}}" for tone, colour in COLOURS.items())
FUTURE_STYLE = TONES + _style("future.css")
PAGE_STYLE = _style("page.css")
