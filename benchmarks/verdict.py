# SPDX-License-Identifier: Apache-2.0
"""Samples -> medians -> is a target met? Pure."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.rows import Of, Row, Target

Samples = Mapping[str, Sequence[float]]
"""Series of one measurement: name -> samples."""


@dataclass(frozen=True)
class Judged:
    """A row with its medians. ours None: not measured, ``why`` says why. A target that a row has not got: None."""

    row: Row
    ours: float | None = None
    reference: float | None = None
    pool: float | None = None
    is_foundation_met: bool | None = None
    is_goal_met: bool | None = None
    why: str = ""

    @property
    def ratio(self) -> float | None:
        if self.ours is None or not self.reference:
            return None
        return self.ours / self.reference


def judge(row: Row, samples: Samples, why: str = "") -> Judged:
    """Compare the medians of ``samples`` with what ``row`` wants. why: what went wrong when samples are missing."""
    ours, reference = median(samples, row.ours), median(samples, row.reference)
    if ours is None or (row.reference is not None and reference is None):
        return Judged(row, why=why or "not measured")
    return Judged(
        row,
        ours,
        reference,
        pool=median(samples, "pool") if row.ours == "ours" else None,
        is_foundation_met=is_met(row.foundation, ours, reference),
        is_goal_met=is_met(row.goal, ours, reference),
    )


def median(samples: Samples, series: str | None) -> float | None:
    """The median of a series, None when there is none."""
    values = samples.get(series, ()) if series is not None else ()
    return statistics.median(values) if values else None


def is_met(target: Target | None, ours: float, reference: float | None) -> bool | None:
    """None: there is no target. A target against a reference needs one."""
    if target is None:
        return None
    measured = ours
    if target.of is not Of.VALUE:
        assert reference is not None, f"{target} compares with nothing"
        measured = ours / reference if target.of is Of.RATIO else ours - reference
    return measured >= target.limit if target.is_lower_bound else measured <= target.limit


def words(judged: Judged) -> str:
    """The verdict: ``met`` is the foundation."""
    if judged.ours is None:
        return "FAILED"
    if judged.is_foundation_met is None:
        return "goal met" if judged.is_goal_met else "goal not met"
    if not judged.is_foundation_met:
        return "NOT MET"
    return "met, goal too" if judged.is_goal_met else "met"
