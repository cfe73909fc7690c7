# SPDX-License-Identifier: Apache-2.0
"""What is sent to a front end, as MIME bundles. No bundle that stays holds a widget: a saved notebook must read."""

from __future__ import annotations

from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render import html, text

Bundle = dict[str, object]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def card(snapshot: Snapshot, *, has_html: bool = True) -> Bundle:
    """Everything in one output."""
    return bundle(text.plain(snapshot), html.card(snapshot) if has_html else "")


def caption(snapshot: Snapshot) -> Bundle:
    """The output above a live view."""
    return bundle(text.caption(snapshot), html.caption(snapshot))


def body(snapshot: Snapshot) -> Bundle:
    """What replaces a live view, below its caption."""
    return bundle(text.plain(snapshot), html.body(snapshot))


def live(snapshot: Snapshot, model_id: str) -> Bundle:
    """A live view, with what a front end without widgets shows instead."""
    return with_widget(body(snapshot), model_id)


def with_widget(bundle: Bundle, model_id: str) -> Bundle:
    return {**bundle, WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}}


def bundle(plain: str, page: str) -> Bundle:
    return {"text/plain": plain, "text/html": page} if page else {"text/plain": plain}
