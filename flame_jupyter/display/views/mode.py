# SPDX-License-Identifier: Apache-2.0
"""How something is shown in this front end: pure decisions over a few facts, and where those facts come from."""

from __future__ import annotations

import functools
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from flame_jupyter.display.previews.preview import Limits


@dataclass(frozen=True)
class Settings:
    """display: ``auto`` = live where it works; the others force one form. settle_timeout_s: how long a scripted cell
    waits for the futures that it displayed, 0 = not at all. settle_after_s: how long a live view shows the end,
    so that a screen reader can announce it. settle: whether it then becomes static, or stays a widget, which a
    notebook that is opened without its kernel shows only when the front end saves the state of widgets.
    """

    display: Literal["auto", "widget", "html", "text"] = "auto"
    settle_timeout_s: float = 60.0
    settle_after_s: float = 1.5
    settle: Literal["static", "keep-widget"] = "static"
    max_live_widgets: int = 50
    limits: Limits = field(default_factory=Limits)


class InProgram(Enum):
    AWAITED = "the cell waits for its end"
    FOLLOWED = "its end is shown when a later cell brings it"
    PRINTED = "what is there is shown, once"


@dataclass(frozen=True)
class Facts:
    """has_kernel: outputs can be updated later. is_scripted: no person watches (nbconvert, papermill, jupyter execute).

    has_widgets: of the kind that is shown. in_program, keeps_widget: as the source says.
    """

    has_kernel: bool
    is_scripted: bool
    has_widgets: bool
    live_widgets: int = 0
    in_program: InProgram = InProgram.AWAITED
    keeps_widget: bool = False


class Mode(Enum):
    LIVE = "a widget that becomes static"
    UPDATED = "static, published again while it changes"
    SETTLED_ONCE = "static, published again once, when it has ended"
    PRINTED = "text, once"


def choose(facts: Facts, settings: Settings) -> Mode:
    """The best form that will still read when the notebook is saved."""
    if not facts.has_kernel:
        return Mode.PRINTED
    wants_widget = settings.display in ("auto", "widget") and facts.has_widgets
    if facts.is_scripted and facts.in_program is InProgram.PRINTED:
        return Mode.PRINTED
    if facts.is_scripted:
        return Mode.LIVE if wants_widget and facts.keeps_widget else Mode.SETTLED_ONCE
    return Mode.LIVE if wants_widget and facts.live_widgets < settings.max_live_widgets else Mode.UPDATED


def is_scripted(request: Mapping[str, object], environ: Mapping[str, str] = os.environ) -> bool:
    """Does a program execute this cell? It cannot answer ``input()`` and says so. Voila says so too, but is watched."""
    content = request.get("content")
    allows_input = content.get("allow_stdin") if isinstance(content, Mapping) else None
    return allows_input is False and not is_voila(environ)


def is_voila(environ: Mapping[str, str] = os.environ) -> bool:
    """Is the notebook served by Voila? There a widget lives on, but no output is replaced after its cell."""
    return environ.get("SERVER_SOFTWARE", "").startswith("voila/")


@functools.cache
def has_widgets() -> bool:
    """Are both libraries there? Looked up, not imported: loading them costs 0.2 s and may never be needed."""
    return all(importlib.util.find_spec(name) is not None for name in ("ipywidgets", "anywidget"))
