# SPDX-License-Identifier: Apache-2.0
"""Judged rows -> a Markdown table that lines up in a terminal too, and lines that sum it up. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.rows import Kind, Of, Row, Target
from benchmarks.verdict import Judged, words

HEAD = ("work", "ours", "pool", "the machine, or us", "ratio", "foundation", "goal", "verdict")
_RIGHT = {1, 2, 4}  # columns of numbers
NOTHING = "-"


def table(judged: Sequence[Judged]) -> str:
    """One line a row, columns padded to one width."""
    lines = [HEAD, *(_cells(each) for each in judged)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    rule = [("-" * (width - 1) + ":") if column in _RIGHT else "-" * width for column, width in enumerate(widths)]
    return "\n".join(_line(cells, widths) for cells in (lines[0], rule, *lines[1:]))


def summary(judged: Sequence[Judged]) -> str:
    """How many targets are met, which rows miss theirs, and why rows are missing."""
    parts = []
    for name, results in (
        ("foundation", {each.row.key: each.is_foundation_met for each in judged if each.row.foundation is not None}),
        ("goal", {each.row.key: each.is_goal_met for each in judged if each.row.goal is not None}),
    ):
        missed = [key for key, is_met in results.items() if not is_met]
        tail = f" (not: {', '.join(missed)})" if missed else ""
        parts.append(f"{name}: {len(results) - len(missed)} of {len(results)} met{tail}")
    reasons: dict[str, list[str]] = {}  # rows of one measurement, or of one fault, fail together
    for each in judged:
        if each.ours is None:
            reasons.setdefault(each.why, []).append(each.row.key)
    return "\n".join([*parts, *(f"failed: {', '.join(keys)}: {why}" for why, keys in reasons.items())])


def limits(medians: Mapping[str, float]) -> str:
    """The physical limits of the machine in one line."""
    return "limits of the machine: " + ", ".join(
        f"{name} {shown(value, Kind.SECONDS)}" for name, value in medians.items()
    )


def shown(value: float | None, kind: Kind) -> str:
    """A number with the unit that fits it: ``143 us``, ``8.6 ms``, ``41,964 /s``, ``23.1 MB``."""
    if value is None:
        return NOTHING
    if kind is Kind.ANSWER:
        return "yes" if value >= 1 else "no"
    if kind is Kind.CALLS_PER_S:
        return f"{value:,.0f} /s"
    if kind is Kind.CPUS:
        return f"{value:.2f} CPUs"
    if kind is Kind.BYTES:
        return f"{_digits(value / 1e6)} MB"
    if kind is Kind.BYTES_PER_S:
        return f"{value / 1e9:.2f} GB/s"
    if value < 1e-3:
        return f"{_digits(value * 1e6)} us"
    return f"{_digits(value * 1e3)} ms" if value < 1 else f"{value:.2f} s"


def target_text(target: Target | None, row: Row) -> str:
    """``<= 0.35 x pool``, ``<= 30 ms``, ``<= 5 ms beyond bare process``."""
    if target is None:
        return NOTHING
    if row.kind is Kind.ANSWER:
        return "yes"
    sign = ">=" if target.is_lower_bound else "<="
    if target.of is Of.RATIO:
        return f"{sign} {target.limit:g} x {row.reference}"
    beyond = f" beyond {row.reference}" if target.of is Of.BEYOND else ""
    return f"{sign} {shown(target.limit, row.kind)}{beyond}"


def _cells(judged: Judged) -> tuple[str, ...]:
    row = judged.row
    if row.kind is Kind.ANSWER:  # its reference is the pool's answer
        pool, other = shown(judged.reference, row.kind), NOTHING
    else:
        pool = shown(judged.pool, row.kind)
        has_other = row.reference not in {None, "pool"} and judged.reference is not None
        other = f"{row.reference} {shown(judged.reference, row.kind)}" if has_other else NOTHING
    return (
        row.work,
        shown(judged.ours, row.kind),
        pool,
        other,
        NOTHING if judged.ratio is None or row.kind is Kind.ANSWER else f"{judged.ratio:.2f}",
        target_text(row.foundation, row),
        target_text(row.goal, row),
        words(judged),
    )


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.rjust(width) if column in _RIGHT else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
