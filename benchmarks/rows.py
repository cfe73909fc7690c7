# SPDX-License-Identifier: Apache-2.0
"""What is measured, against what, and what it should be. Pure: one record a row, in the order of the table.

A measurement (``part.function``) yields series of samples in seconds, bytes, or things per second; a row compares
two of them. The foundation has to hold in every release; the goal is where this is going.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What the numbers of a row are."""

    SECONDS = "s"
    BYTES = "B"
    CALLS_PER_S = "calls/s"
    CPUS = "CPUs"
    BYTES_PER_S = "B/s"
    ANSWER = "yes or no"


class Of(enum.Enum):
    """What a target limits: ours / reference, ours itself, or ours - reference."""

    RATIO = "ratio"
    VALUE = "value"
    BEYOND = "beyond"


@dataclass(frozen=True)
class Target:
    limit: float
    of: Of = Of.RATIO
    is_lower_bound: bool = False


@dataclass(frozen=True)
class Row:
    """ours, reference: names of series of ``measurement``; reference None = nothing to compare with."""

    key: str
    work: str
    measurement: str
    kind: Kind
    reference: str | None
    foundation: Target | None
    goal: Target | None
    ours: str = "ours"


def at_most(limit: float, of: Of = Of.RATIO) -> Target:
    return Target(limit, of)


def at_least(limit: float, of: Of = Of.RATIO) -> Target:
    return Target(limit, of, is_lower_bound=True)


_MB = 1e6
_BOUNDED_BYTES = 200 * _MB  # 2 % of the 10 GB that pass through

ROWS = (
    Row("round-trip", "no-op round trip", "calls.round_trip", Kind.SECONDS, "pool", at_most(0.35), at_most(0.12)),
    Row(
        "round-trip-floor", "the same, against a bare worker", "calls.round_trip", Kind.SECONDS, "bare worker",
        None, at_most(1.5),
    ),
    Row(
        "outstanding", "5,000 outstanding no-ops", "calls.outstanding", Kind.CALLS_PER_S, "pool",
        at_least(5), at_least(20),
    ),
    Row(
        "busy-caller", "caller busy in Python, 1 ms tasks", "calls.busy_caller", Kind.CALLS_PER_S, "workers' limit",
        at_least(0.5), at_least(0.85),
    ),
    Row(
        "cpu", "40 calls of 25 ms CPU on 2 workers", "calls.cpu", Kind.CPUS, "bare workers",
        at_least(0.95), at_least(0.98),
    ),
    Row("chain", "200 dependent calls, a link", "calls.chain", Kind.SECONDS, "round trip", at_most(1.5), at_most(1)),
    Row("stateful", "stateful call", "calls.stateful", Kind.SECONDS, "stateless", at_most(1.5), at_most(1.1)),
    Row(
        "state-unchanged", "stateful call that leaves 100 MB unchanged", "arrays.state_unchanged", Kind.SECONDS,
        "memcmp", None, at_most(1.2),
    ),
    Row(
        "argument", "100 MB argument for 8 calls, put once, warm", "arrays.argument", Kind.SECONDS, "memcpy",
        at_most(12), at_most(2),
    ),
    Row(
        "argument-cold", "the same, first of its engine", "arrays.argument_cold", Kind.SECONDS, "memcpy",
        at_most(12), at_most(7),
    ),
    Row(
        "argument-by-value", "100 MB argument for 8 calls, by value", "arrays.argument_by_value", Kind.SECONDS,
        "memcpy", at_most(12), at_most(2),
    ),
    Row("result", "100 MB result, warm", "arrays.result", Kind.SECONDS, "memcpy", at_most(12), at_most(1.5)),
    Row(
        "result-cold", "the same, first of its engine", "arrays.result_cold", Kind.SECONDS, "memcpy",
        at_most(12), at_most(7),
    ),
    Row(
        "churn-rate", "10,000 results of 1 MB made and dropped", "arrays.churn", Kind.BYTES_PER_S, "memcpy",
        None, at_least(0.5),
    ),
    Row(
        "churn-memory", "the most memory they add", "arrays.churn", Kind.BYTES, None,
        at_most(_BOUNDED_BYTES, Of.VALUE), at_most(_BOUNDED_BYTES, Of.VALUE), ours="most added",
    ),
    Row(
        "first-result", "fresh interpreter to first result", "starts.first_result", Kind.SECONDS, "pool",
        at_most(2), at_most(1),
    ),
    Row(
        "further-runner", "further Runner to first result", "starts.further_runner", Kind.SECONDS, "python -c pass",
        at_most(0.030, Of.VALUE), at_most(0.005, Of.VALUE),
    ),
    Row(
        "package-first", "package 1,000 files, 50 MB: first", "packages.package", Kind.SECONDS, "reading them",
        at_most(1.5, Of.VALUE), at_most(1.2),
    ),
    Row(
        "package-unchanged", "the same again, unchanged", "packages.package", Kind.SECONDS, "listing them",
        at_most(0.100, Of.VALUE), at_most(0.020, Of.VALUE), ours="unchanged",
    ),
    Row(
        "many-files-first", "Runner on 10,000 small files, and a service", "packages.many_files", Kind.SECONDS,
        "reading them", at_most(3), at_most(2),
    ),
    Row(
        "many-files-further", "a further service of it", "packages.many_files", Kind.SECONDS, "listing them",
        at_most(1.5), at_most(1), ours="further",
    ),
    Row(
        "many-files-call", "its first call, at once", "packages.many_files", Kind.SECONDS, "making them",
        None, at_most(1), ours="first call",
    ),
    Row(
        "import", "import flamepy", "starts.import_flamepy", Kind.SECONDS, "python -c pass",
        at_most(0.080, Of.VALUE), at_most(0.030, Of.VALUE),
    ),
    Row(
        "load-ext", "%load_ext flame_jupyter", "starts.load_extension", Kind.SECONDS, "IPython",
        at_most(0.150, Of.VALUE), at_most(0.060, Of.VALUE),
    ),
    Row(
        "idle-memory", "idle memory of all helper processes", "memory.idle", Kind.BYTES, "pool",
        at_most(35 * _MB, Of.VALUE), at_most(12 * _MB, Of.VALUE),
    ),
    Row(
        "worker-killed", "worker killed: the caller's error", "loss.worker_killed", Kind.SECONDS, "bare process",
        at_most(0.100, Of.VALUE), at_most(0.005, Of.BEYOND),
    ),
    Row(
        "after-kill", "the next call works", "loss.worker_killed", Kind.ANSWER, "next on pool",
        at_least(1, Of.VALUE), at_least(1, Of.VALUE), ours="next",
    ),
)  # fmt: skip


def chosen(keys: str | None) -> tuple[Row, ...]:
    """The rows of ``keys`` (``round-trip,chain``), all of them for None. Raises ValueError for an unknown one."""
    if keys is None:
        return ROWS
    wanted = [key.strip() for key in keys.split(",")]
    known = [row.key for row in ROWS]
    unknown = [key for key in wanted if key not in known]
    if unknown:
        raise ValueError(f"no row {', '.join(map(repr, unknown))}: choose from {', '.join(known)}")
    return tuple(row for row in ROWS if row.key in wanted)


def measurements_of(rows: tuple[Row, ...]) -> list[str]:
    """The measurements that ``rows`` need, each once, in order."""
    return list(dict.fromkeys(row.measurement for row in rows))
