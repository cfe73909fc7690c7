# SPDX-License-Identifier: Apache-2.0
"""The doctor's own calls: does a worker start, is its flamepy this one, and how long does a call take?"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import NamedTuple

from flamepy.clock import monotonic_s
from flamepy.config import ContextFields
from flamepy.errors import CallTimeout
from flamepy.tools.findings import Finding, Level

GROUP = "Self-test"
TIMEOUT_S = 20.0  # a start takes well under two seconds; a machine that needs ten times that has another problem
_ROUND_TRIPS = 50  # enough for a median, a few milliseconds altogether
_ROUND_TRIPS_S = 2.0
_SLOW_START_S = 2.0
_SLOW_CLUSTER_START_S = 10.0  # a cluster hands out executors in turns, and a node has to unpack and start a worker
_LOGS = "The logs of the executors on its nodes say what became of it."


class WorkerFacts(NamedTuple):
    """What a worker says of itself."""

    pid: int
    executable: str
    flamepy: str
    host: str


def facts_of_worker() -> WorkerFacts:
    """Runs on the worker. Imported there, not sent: so that it also shows that the worker has this very flamepy."""
    import flamepy

    return WorkerFacts(os.getpid(), sys.executable, str(flamepy.__file__), platform.node())


def run_self_test(timeout_s: float = TIMEOUT_S, *, context: ContextFields | None = None) -> Iterator[Finding]:
    """Start a Runner over an empty directory, make calls, take the time. context: where; None = as configured."""
    from flamepy.runner import Runner

    began_s = monotonic_s()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flame-doctor-") as root,
            Runner(f"doctor-{uuid.uuid4().hex[:8]}", root=root, context=context) as runner,
        ):
            look = runner.service(facts_of_worker, name="_doctor")
            try:
                facts = look().get(timeout_s)
            except CallTimeout:
                cluster = runner.cluster()
                runner.close(cancel=True)
                cure = "Something keeps workers from starting: run it again with nothing else running, then report it."
                if cluster is not None:
                    cure = f"It waits on the cluster: {cluster.waiting}." if cluster.waiting else _LOGS
                yield Finding(GROUP, "first call", f"no answer after {timeout_s:g} s", Level.WRONG, cure)
                return
            first_s = monotonic_s() - began_s
            rounds = _round_trips(lambda: look().get(timeout_s))
    except Exception as error:  # noqa: BLE001 - the doctor is asked when things are odd, and tells what it sees
        yield Finding.of_error(GROUP, "first call", error)
        return
    is_cluster = context is not None and context.endpoint is not None
    if first_s > (_SLOW_CLUSTER_START_S if is_cluster else _SLOW_START_S):
        cure = "The machine is busy, or its disk is slow: try TMPDIR on a faster one."
        if is_cluster:
            cure = "It may have waited for a free executor, or a node starts workers slowly."
        yield Finding(GROUP, "first call", f"after {first_s:.2f} s, with the start", Level.NOTE, cure)
    else:
        yield Finding(GROUP, "first call", f"after {first_s * 1000:.0f} ms, with the start")
    yield Finding(GROUP, "next calls", f"{statistics.median(rounds) * 1000:.2f} ms each, there and back")
    if is_cluster:
        yield Finding(GROUP, "worker", f"process {facts.pid} on {facts.host}, {facts.executable}")
    else:
        yield _same_flamepy(facts)


def _round_trips(call: Callable[[], object]) -> list[float]:
    """How long each took, in seconds. Fewer, where a cluster that is busy gives each call another worker."""
    until_s = monotonic_s() + _ROUND_TRIPS_S
    rounds = [_seconds_of(call)]
    while len(rounds) < _ROUND_TRIPS and monotonic_s() < until_s:
        rounds.append(_seconds_of(call))
    return rounds


def _seconds_of(work: Callable[[], object]) -> float:
    began_s = monotonic_s()
    work()
    return monotonic_s() - began_s


def _same_flamepy(facts: WorkerFacts) -> Finding:
    import flamepy

    if facts.flamepy == flamepy.__file__:
        return Finding(GROUP, "worker", f"process {facts.pid}, {facts.executable}, the same flamepy")
    cure = "Take the other one out of PYTHONPATH, or reinstall: pip install --force-reinstall --no-deps flame-jupyter."
    return Finding(GROUP, "worker", f"has another flamepy, {facts.flamepy}", Level.WRONG, cure)
