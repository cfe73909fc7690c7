# SPDX-License-Identifier: Apache-2.0
"""A snapshot as ``text/html`` that reads anywhere: no script, no outside resource, all styles inline.

JupyterLab's own variables give the colours, so that themes are followed; each has a fallback of at least 3:1
against white and against near-black. Text keeps the page's colour; the state's colour is for icon and edge.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape

from flame_jupyter.display.model.call_state import CallState, Tone
from flame_jupyter.display.model.formatting import (
    clock_text,
    counted,
    date_text,
    duration_text,
    printed_text,
    size_text,
    tail,
)
from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.display.render.table import cell, table
from flame_jupyter.display.render.text import ALL_BUT, OUTPUT_CHARS, TRACEBACK_CHARS, facts_text, label, state_text

COLOURS: dict[Tone, str] = {
    "neutral": "var(--jp-ui-font-color2, #767676)",
    "info": "var(--jp-info-color1, #1976d2)",
    "success": "var(--jp-success-color1, #2e8b34)",
    "error": "var(--jp-error-color1, #d32f2f)",
    "warn": "var(--jp-warn-color0, #b26a00)",
}
MUTED = "color:var(--jp-ui-font-color2, inherit)"
MONO = "font-family:var(--jp-code-font-family, monospace)"
CODE = f"{MONO};background:none;padding:0;color:inherit"
FACE = (
    "font-family:var(--jp-ui-font-family, system-ui, sans-serif);font-size:var(--jp-ui-font-size1, 13px);"
    "line-height:1.5;color:var(--jp-ui-font-color1, inherit)"
)
# Where Jupyter's own text outputs begin: one character of code to the right.
INDENT_WIDTH = "calc(var(--jp-code-font-size, 13px) * 0.6)"
INDENT = f"padding-left:{INDENT_WIDTH}"
PRE = (
    f"{MONO};font-size:var(--jp-code-font-size, 13px);line-height:1.4;white-space:pre-wrap;overflow-wrap:anywhere;"
    "max-height:20em;overflow:auto;margin:4px 0;padding:0;background:none;border:0;color:inherit"
)
EDGE = "border-left:3px solid {colour};padding:0 0 0 10px;margin:4px 0 6px"
INLINE_VALUE_CHARS = 72
FOLD_TITLE = "Traceback, output and details"

# A live view stands below its caption in an output of its own. When the notebook is opened again without its kernel,
# JupyterLab shows "Error displaying widget: model not found" there, whatever stands beside it in the same output:
# the first rule hides that line; the second hides the caption's "pending at ..." while the view below it is alive.
CAPTION_RULES = (
    "<style>"
    ".jp-OutputArea-child:has(.flame-pending) + .jp-OutputArea-child > "
    ".jp-OutputArea-output.jupyter-widgets:not(:has(*)){display:none}"
    ".jp-OutputArea-child:has(+ .jp-OutputArea-child :is(.flame-view,.flame-pane)) .flame-pending{display:none}"
    "</style>"
)
CAPTION_FACE = "position:relative;top:4px"  # nearer to what it names: outputs stand further apart than lines


def icon_html(state: CallState) -> str:
    """The sign of a state, in its colour; words beside it say the same."""
    style = f"color:{COLOURS[state.tone]};font-weight:700"
    return f'<span aria-hidden="true" style="{style}">{state.icon}</span>'


def card(snapshot: Snapshot) -> str:
    """The whole story: caption and body in one block, for a future that is shown without a live view."""
    return block(label(snapshot), _caption_line(snapshot) + _summary(snapshot) + edged(snapshot))


def caption(snapshot: Snapshot) -> str:
    """What stands above a live view, and stays above the body that replaces it."""
    if snapshot.state.is_terminal:
        return f'<div style="{FACE};{INDENT};{CAPTION_FACE}">{_caption_line(snapshot)}</div>'
    pending = f'<span class="flame-pending"> · pending at {clock_text(snapshot.taken_s)}</span>'
    return f'{CAPTION_RULES}<div style="{FACE};{INDENT};{CAPTION_FACE}">{_caption_line(snapshot, more=pending)}</div>'


def page(title: str, content: str) -> str:
    """A page in one block: its title above what it shows."""
    return block(title, f"<strong>{escape(title)}</strong>{content}")


def pending_page(title: str, state: str) -> str:
    """The caption of a page; ``state`` is hidden while its widget stands below it."""
    pending = f'<span class="flame-pending"> · {escape(state)}</span>' if state else ""
    rules = CAPTION_RULES if state else ""
    return f'{rules}<div style="{FACE};{INDENT};{CAPTION_FACE}"><strong>{escape(title)}</strong>{pending}</div>'


def body(snapshot: Snapshot) -> str:
    """What replaces a live view below its caption."""
    return block(label(snapshot), _summary(snapshot) + edged(snapshot))


def parts(snapshot: Snapshot) -> str:
    """Below the line of the state: preview, traceback, output, identifiers."""
    if snapshot.is_folded:
        return folded(FOLD_TITLE, parts(replace(snapshot, is_folded=False)), is_open=False)
    return preview(snapshot) + _problem(snapshot) + _output(snapshot) + details(snapshot)


def short_value(snapshot: Snapshot) -> str:
    """The result, when it is so short that it fits into the line of the state; else ""."""
    shown = snapshot.preview
    if shown is None or shown.html is not None or "\n" in shown.text or len(shown.text) > INLINE_VALUE_CHARS:
        return ""
    return shown.text


def block(name: str, content: str) -> str:
    """What holds everything: its name is for screen readers."""
    return f'<div role="group" aria-label="{escape(name)}" style="{FACE};{INDENT}">{content}</div>'


def _caption_line(snapshot: Snapshot, *, more: str = "") -> str:
    call = f'<code style="{CODE};font-weight:600">{escape(snapshot.call)}</code>'
    facts = f'<span style="{MUTED}">#{snapshot.id} · called at {clock_text(snapshot.created_s)}{more}</span>'
    return f"<div>{call} &nbsp;{facts}</div>"


def edged(snapshot: Snapshot) -> str:
    edge = EDGE.format(colour=COLOURS[snapshot.state.tone])
    return f'<div style="{edge}">{state_line(snapshot)}{parts(snapshot)}</div>'


def state_line(snapshot: Snapshot) -> str:
    rest = state_text(snapshot).removeprefix(snapshot.word)
    line = f"{icon_html(snapshot.state)} <strong>{escape(snapshot.word)}</strong>{escape(rest)}"
    if value := short_value(snapshot):
        line += f' <span aria-hidden="true">→</span> <code style="{CODE}">{escape(value)}</code>'
    if facts := facts_text(snapshot):
        line += f' &nbsp;<span style="{MUTED}">{escape(facts)}</span>'
    if snapshot.problem is not None:
        line += (
            f'<div style="{MONO};overflow-wrap:anywhere;white-space:pre-wrap">{escape(snapshot.problem.headline)}</div>'
        )
    return f"<div>{line}</div>"


def preview(snapshot: Snapshot) -> str:
    shown = snapshot.preview
    if shown is None:
        return ""
    note = f'<div style="{MUTED}">{escape(shown.note)}</div>' if shown.note else ""
    if shown.html is not None:
        return scrolled(shown.html, name="Result") + note
    if not shown.text or short_value(snapshot):
        return note
    return f"{pre(shown.text, name='Result')}{note}"


def _summary(snapshot: Snapshot) -> str:
    if not snapshot.summary:
        return ""
    words = escape(f"{snapshot.summary} {ALL_BUT} folded.")
    return f'<div style="border:1px solid {COLOURS["error"]};padding:2px 10px;margin:4px 0">{words}</div>'


def _problem(snapshot: Snapshot) -> str:
    if snapshot.problem is None or not snapshot.problem.traceback_text:
        return ""
    text = tail(snapshot.problem.traceback_text.strip("\n"), max_chars=TRACEBACK_CHARS)
    return folded("Traceback from the worker", pre(text, name="Traceback"), is_open=True)


def _output(snapshot: Snapshot) -> str:
    text = printed_text(snapshot.output)
    if not text:
        return ""
    summary = f"Output, {counted(text.count(chr(10)) + 1, 'line')}"
    return folded(
        summary, pre(tail(text, max_chars=OUTPUT_CHARS), name="Output"), is_open=not snapshot.state.is_terminal
    )


def details(snapshot: Snapshot) -> str:
    """Times and identifiers, in few bytes: a notebook may hold hundreds of them."""
    if not snapshot.state.is_terminal:
        return ""
    lines = "\n".join(f"{name}: {escape(value)}" for name, value in _facts(snapshot).items() if value)
    return folded("Details", f'<div style="{MONO};white-space:pre-wrap">{lines}</div>', is_open=False)


def _facts(snapshot: Snapshot) -> dict[str, str]:
    began = snapshot.started_s
    return {
        "Called": date_text(snapshot.created_s),
        "Waited": duration_text(max((began or snapshot.finished_s or snapshot.taken_s) - snapshot.created_s, 0.0)),
        "Ran": duration_text(snapshot.elapsed_s)
        if began
        else "not at all"
        if snapshot.state.is_terminal
        else "not yet",
        "Size": "" if snapshot.nbytes is None else size_text(snapshot.nbytes),
        "Session": snapshot.session_id,
        "Task": snapshot.task_id,
        "Reference": snapshot.reference,
    }


def details_table(snapshot: Snapshot) -> str:
    facts = [(name, escape(value)) for name, value in _facts(snapshot).items() if value]
    return table([cell(name, "font-weight:600", scope="row"), cell(value, MONO)] for name, value in facts)


def folded(summary: str, content: str, *, is_open: bool) -> str:
    title = f'<summary style="cursor:pointer">{escape(summary)}</summary>'
    return f'<details{" open" if is_open else ""} style="margin:2px 0">{title}{content}</details>'


def pre(text: str, *, name: str) -> str:
    # a box that scrolls must be reachable by keyboard, and named
    return f'<pre tabindex="0" role="group" aria-label="{name}" style="{PRE}">{escape(text)}</pre>'


def scrolled(content: str, *, name: str, max_height: str = "32em") -> str:
    style = f"overflow:auto;max-height:{max_height};margin:4px 0"
    return f'<div tabindex="0" role="group" aria-label="{name}" style="{style}">{content}</div>'
