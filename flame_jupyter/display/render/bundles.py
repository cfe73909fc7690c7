# SPDX-License-Identifier: Apache-2.0
"""What is sent to a front end, as MIME bundles. No bundle that stays holds a widget: a saved notebook must read."""

from __future__ import annotations

Bundle = dict[str, object]
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


def bundle(plain: str, page: str) -> Bundle:
    return {"text/plain": plain, "text/html": page} if page else {"text/plain": plain}


def with_widget(bundle: Bundle, model_id: str) -> Bundle:
    """A live form, with what a front end without widgets shows instead."""
    return {**bundle, WIDGET_VIEW: {"version_major": 2, "version_minor": 0, "model_id": model_id}}
