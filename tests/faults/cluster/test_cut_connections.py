# SPDX-License-Identifier: Apache-2.0
"""Connections to a cluster and its object cache that break at any byte cost time, and nothing else."""

from __future__ import annotations

import os
from collections import Counter as Counts
from pathlib import Path

from flamepy import FlameError, ObjectFuture, Runner
from flamepy.config import ContextFields
from flamepy.config.records import FlameContextCache
from flamepy.engine.cluster.engine import ClusterEngine
from flamepy.engine.current import use_engine
from tests.faults.cluster.cutting_proxy import cutting_proxy
from tests.faults.going_on import Counter

END_S = 100.0  # the bounds of the faults are half a minute and a minute
BIG = b"x" * 150_000  # more than travels inside of a task


def _note(path: Path, number: int, data: bytes) -> bytes:
    with open(path, "a") as file:
        file.write(f"{number}\n")
    return data


def _ended(future: ObjectFuture) -> object:
    """Its value, or the error of the cluster."""
    try:
        return future.get(END_S)
    except FlameError as error:
        assert future.done(), "it is not the wait that ended"
        return error


def check_calls_over_cut_connections(cluster: ContextFields, seed: int, notes: Path, rounds: int) -> tuple[int, int]:
    """Make calls while connections break; returns how many broke, and how many calls ended with an error."""
    assert cluster.endpoint is not None
    assert cluster.cache_endpoint is not None
    endpoint, cache_endpoint = (each.partition("://")[2] for each in (cluster.endpoint, cluster.cache_endpoint))
    with cutting_proxy(endpoint, seed) as front, cutting_proxy(cache_endpoint, seed + 1) as cache:
        there = ContextFields(endpoint=f"http://{front.address}", cache=FlameContextCache(f"grpc://{cache.address}"))
        engine = ClusterEngine(there)
        try:
            with use_engine(engine), Runner(f"cut-{os.getpid()}-{seed}") as runner:
                note, counter = runner.service(_note), runner.service(Counter())
                assert counter.add().get(END_S) == 1
                added, errors = 1, 0
                for number in range(rounds):
                    front.is_cutting = cache.is_cutting = True
                    futures = {
                        each: note(notes, each, BIG if each % 3 == 0 else b"small")
                        for each in range(8 * number, 8 * number + 8)
                    }
                    increments = [counter.add() for _ in range(2)]
                    counted = [_ended(each) for each in increments]
                    assert all(isinstance(each, (int, FlameError)) for each in counted), counted
                    ended = {each: _ended(future) for each, future in futures.items()}
                    front.is_cutting = cache.is_cutting = False
                    for each, value in ended.items():
                        errors += isinstance(value, FlameError)
                        assert isinstance(value, FlameError) or value == (BIG if each % 3 == 0 else b"small")
                    acknowledged = [each for each in counted if isinstance(each, int)]
                    errors += len(counted) - len(acknowledged)
                    assert all(each > added for each in acknowledged), counted
                    added = max([added, *acknowledged])
                    runs = Counts(map(int, notes.read_text().split()))
                    assert max(runs.values()) == 1, f"calls ran twice: {runs}"
                    assert {each for each, value in ended.items() if not isinstance(value, FlameError)} <= set(runs)
        finally:
            engine.close()
        return front.breaks + cache.breaks, errors


def test_connections_that_break_lose_no_result_and_run_no_call_twice(
    cluster: ContextFields, project: Path, nothing_is_left: None, tmp_path: Path
) -> None:
    breaks, _ = check_calls_over_cut_connections(cluster, 1, tmp_path / "notes", rounds=1)
    assert breaks > 1, "the connections held: the test would prove nothing"
