# SPDX-License-Identifier: Apache-2.0
"""The benchmark's arithmetic and its table. No test measures time."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks.process import PARTS
from benchmarks.rows import ROWS, Kind, Of, Row, Target, at_least, at_most, chosen, measurements_of
from benchmarks.table import HEAD, limits, shown, summary, table, target_text
from benchmarks.verdict import is_met, judge, median, words

FAST = Row("fast", "a fast thing", "part.fast", Kind.SECONDS, "pool", at_most(0.5), at_most(0.1))
MANY = Row("many", "many things", "part.many", Kind.CALLS_PER_S, "pool", at_least(5), at_least(20))
PLAIN = Row("plain", "a plain thing", "part.plain", Kind.SECONDS, "start", at_most(0.03, Of.VALUE), None)
BEYOND = Row("beyond", "a late thing", "part.beyond", Kind.SECONDS, "end", None, at_most(0.005, Of.BEYOND))


def test_a_ratio_compares_medians_and_not_means() -> None:
    judged = judge(FAST, {"ours": [1.0, 2.0, 90.0], "pool": [8.0, 8.0, 8.0]})
    assert judged.ratio == 0.25
    assert (judged.is_foundation_met, judged.is_goal_met) == (True, False)
    assert words(judged) == "met"


@pytest.mark.parametrize(
    ("target", "ours", "reference", "expected"),
    [
        (at_most(0.5), 1.0, 2.0, True),
        (at_most(0.5), 1.01, 2.0, False),
        (at_least(5), 10.0, 2.0, True),
        (at_least(5), 9.9, 2.0, False),
        (at_most(0.03, Of.VALUE), 0.03, 1e-9, True),
        (at_most(0.03, Of.VALUE), 0.031, None, False),
        (at_most(0.005, Of.BEYOND), 0.065, 0.062, True),
        (at_most(0.005, Of.BEYOND), 0.068, 0.062, False),
        (None, 1.0, None, None),
    ],
)
def test_a_target_limits_the_ratio_the_value_or_the_difference(
    target: Target | None, ours: float, reference: float | None, expected: bool | None
) -> None:
    assert is_met(target, ours, reference) is expected


@pytest.mark.parametrize(
    ("row", "ours", "reference", "expected"),
    [
        (FAST, 1.0, 1.0, "NOT MET"),
        (FAST, 0.4, 1.0, "met"),
        (FAST, 0.1, 1.0, "met, goal too"),
        (MANY, 100.0, 5.0, "met, goal too"),
        (MANY, 20.0, 5.0, "NOT MET"),
        (BEYOND, 0.064, 0.062, "goal met"),
        (BEYOND, 0.070, 0.062, "goal not met"),
    ],
)
def test_a_verdict_is_about_the_foundation_first(row: Row, ours: float, reference: float, expected: str) -> None:
    assert row.reference is not None
    assert words(judge(row, {"ours": [ours], row.reference: [reference]})) == expected


def test_a_row_without_samples_has_failed_and_says_why() -> None:
    judged = [judge(row, {"pool": [1.0]}, "ended with 1: ValueError: no") for row in (FAST, MANY)]
    assert [words(each) for each in judged] == ["FAILED", "FAILED"]
    assert table(judged).endswith("| FAILED  |")
    assert summary(judged).splitlines() == [
        "foundation: 0 of 2 met (not: fast, many)",
        "goal: 0 of 2 met (not: fast, many)",
        "failed: fast, many: ended with 1: ValueError: no",
    ]


def test_no_reference_means_not_measured() -> None:
    assert words(judge(FAST, {"ours": [1.0]})) == "FAILED"
    assert median({"ours": []}, "ours") is None


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (0.000143, Kind.SECONDS, "143 us"),
        (0.0000081, Kind.SECONDS, "8.1 us"),
        (0.0086, Kind.SECONDS, "8.6 ms"),
        (0.351, Kind.SECONDS, "351 ms"),
        (2.194, Kind.SECONDS, "2.19 s"),
        (41964.2, Kind.CALLS_PER_S, "41,964 /s"),
        (1.958, Kind.CPUS, "1.96 CPUs"),
        (23_140_000, Kind.BYTES, "23.1 MB"),
        (1.74e9, Kind.BYTES_PER_S, "1.74 GB/s"),
        (1.0, Kind.ANSWER, "yes"),
        (0.0, Kind.ANSWER, "no"),
        (None, Kind.SECONDS, "-"),
    ],
)
def test_numbers_carry_the_unit_that_fits_them(value: float | None, kind: Kind, expected: str) -> None:
    assert shown(value, kind) == expected


def test_targets_are_written_as_they_are_meant() -> None:
    assert target_text(FAST.foundation, FAST) == "<= 0.5 x pool"
    assert target_text(MANY.goal, MANY) == ">= 20 x pool"
    assert target_text(PLAIN.foundation, PLAIN) == "<= 30 ms"
    assert target_text(BEYOND.goal, BEYOND) == "<= 5 ms beyond end"
    assert target_text(PLAIN.goal, PLAIN) == "-"


def test_the_table_is_markdown_of_one_width() -> None:
    judged = [
        judge(FAST, {"ours": [0.001], "pool": [0.01]}),
        judge(PLAIN, {"ours": [0.02], "start": [0.01], "pool": [0.04]}),
    ]
    lines = table(judged).splitlines()
    assert len({len(line) for line in lines}) == 1
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert tuple(cells[0]) == HEAD
    assert cells[1][1].endswith("-:")
    assert cells[2] == ["a fast thing", "1 ms", "10 ms", "-", "0.10", "<= 0.5 x pool", "<= 0.1 x pool", "met, goal too"]
    assert cells[3] == ["a plain thing", "20 ms", "40 ms", "start 10 ms", "2.00", "<= 30 ms", "-", "met"]


def test_the_summary_counts_only_targets_that_exist() -> None:
    judged = [
        judge(FAST, {"ours": [1.0], "pool": [1.0]}),
        judge(BEYOND, {"ours": [1.0], "end": [1.0]}),
    ]
    assert summary(judged).splitlines() == ["foundation: 0 of 1 met (not: fast)", "goal: 1 of 2 met (not: fast)"]


def test_limits_stand_in_one_line() -> None:
    text = limits({"memcpy of 100 MB": 0.0085, "python -c pass": 0.016})
    assert text == "limits of the machine: memcpy of 100 MB 8.5 ms, python -c pass 16 ms"


def test_rows_are_chosen_by_key_and_a_measurement_runs_once() -> None:
    rows = chosen("round-trip-floor, chain,round-trip")
    assert [row.key for row in rows] == ["round-trip", "round-trip-floor", "chain"]
    assert measurements_of(rows) == ["calls.round_trip", "calls.chain"]
    assert chosen(None) == ROWS
    with pytest.raises(ValueError, match=r"no row 'chian': choose from round-trip, "):
        chosen("chian")


def test_every_row_has_a_key_of_its_own_and_a_measurement_that_exists() -> None:
    keys = [row.key for row in ROWS]
    assert len(set(keys)) == len(keys)
    for measurement in measurements_of(ROWS):
        part, function = measurement.split(".")
        assert function in _functions(PARTS / f"{part}.py")


def _functions(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}
