# SPDX-License-Identifier: Apache-2.0
"""Progress at one moment, as text and as HTML that reads without any script. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from html import escape

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import clock_text, counted, duration_text, head
from flame_jupyter.display.render.html import COLOURS, FACE, MONO, MUTED, icon_html
from flame_jupyter.display.render.table import cell, table

ERROR_CHARS = 300
_IF = "at this pace"  # later calls may take longer than those that have ended, which is not known
TRACK = (
    "display:flex;width:100%;min-width:120px;height:8px;border-radius:4px;overflow:hidden;box-sizing:border-box;"
    "border:1px solid var(--jp-ui-font-color2, #767676)"
)
_MIDDLE = "vertical-align:middle"


@dataclass(frozen=True)
class Tally:
    """One group at one moment: how many calls are in which state."""

    name: str
    total: int
    counts: dict[CallState, int]

    @property
    def ended(self) -> int:
        return sum(number for state, number in self.counts.items() if state.is_terminal)


@dataclass(frozen=True)
class Picture:
    """All groups at one moment. took_s: since the first call was made; left_s: a guess, None = too early for one.

    first_error: of which call, and what it raised.
    """

    tallies: tuple[Tally, ...]
    taken_s: float
    took_s: float
    left_s: float | None = None
    first_error: tuple[str, str] | None = None

    @property
    def all(self) -> Tally:
        counts: Counter[CallState] = Counter()
        for tally in self.tallies:
            counts.update(tally.counts)
        return Tally("", sum(tally.total for tally in self.tallies), dict(counts))

    @property
    def is_over(self) -> bool:
        return self.all.ended == self.all.total


def title(picture: Picture) -> str:
    return f"Progress of {counted(picture.all.total, 'call')}"


def state(picture: Picture) -> str:
    """``12 of 30 ended, about 4 s left, pending at 12:03:11``."""
    tally = picture.all
    if picture.is_over:
        return f"ended in {duration_text(picture.took_s)}: {words(tally) or 'nothing to wait for'}"
    left = "" if picture.left_s is None else f", about {_rough(picture.left_s)} left {_IF}"
    return f"{tally.ended} of {tally.total} ended{left}, pending at {clock_text(picture.taken_s)}"


def text(picture: Picture) -> str:
    lines = []
    if len(picture.tallies) > 1:
        lines += [f"{tally.name}: {tally.ended} of {tally.total} ended ({words(tally)})" for tally in picture.tallies]
    if picture.first_error is not None:
        lines.append(f"First error: {_error_line(picture.first_error)}")
    return "\n".join(lines)


def words(tally: Tally) -> str:
    return ", ".join(f"{number} {state.noun}" for state, number in tally.counts.items())


def status(picture: Picture) -> str:
    """What is announced: the first error, and the end; every step would be noise."""
    if picture.is_over:
        return f"All calls {state(picture)}"
    return "" if picture.first_error is None else f"First error: {_error_line(picture.first_error)}"


def html(picture: Picture) -> str:
    rows = [_row(tally) for tally in picture.tallies]
    error = ""
    if picture.first_error is not None:
        icon = icon_html(CallState.FAILED)
        error = f'<div style="{MONO};overflow-wrap:anywhere">{icon} {escape(_error_line(picture.first_error))}</div>'
    return f'<div style="{FACE}"><div>{_headline(picture)}</div>{table(rows) if rows else ""}{error}</div>'


def _rough(seconds: float) -> str:
    """A guess has no tenths."""
    return f"{max(round(seconds), 1)} s" if seconds < 59 else duration_text(seconds)


def _headline(picture: Picture) -> str:
    tally = picture.all
    if picture.is_over:
        has_failed = any(state.is_failure for state in tally.counts)
        icon = icon_html(CallState.FAILED if has_failed else CallState.SUCCEEDED)
        return f"{icon} <strong>{escape(f'All {state(picture)}')}</strong>"
    left = "" if picture.left_s is None else f" · about {_rough(picture.left_s)} left {_IF}"
    facts = f'<span style="{MUTED}"> · {duration_text(picture.took_s)} so far{left}</span>'
    return f"<strong>{tally.ended} of {escape(counted(tally.total, 'call'))} ended</strong>{facts}"


def _row(tally: Tally) -> list[str]:
    name, value = escape(tally.name), f"{tally.ended} of {tally.total} ended, {words(tally)}"
    parts = "".join(
        f'<span style="width:{100 * tally.counts[state] / tally.total:.4g}%;background:{COLOURS[state.tone]}"></span>'
        for state in tally.counts
        if state.is_terminal
    )
    bar = (
        f'<div role="progressbar" aria-label="{name}" aria-valuemin="0" aria-valuemax="{tally.total}" '
        f'aria-valuenow="{tally.ended}" aria-valuetext="{escape(value)}" style="{TRACK}">{parts}</div>'
    )
    return [
        cell(name, f"{_MIDDLE};{MONO}", scope="row"),
        cell(bar, f"{_MIDDLE};width:220px"),
        cell(f"{tally.ended}/{tally.total}", f"{_MIDDLE};font-variant-numeric:tabular-nums"),
        cell(escape(words(tally)), _MIDDLE),
    ]


def _error_line(error: tuple[str, str]) -> str:
    call, message = error
    return head(f"{call}: {message}", max_chars=ERROR_CHARS)
