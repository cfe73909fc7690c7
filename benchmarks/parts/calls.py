# SPDX-License-Identifier: Apache-2.0
"""Calls that carry little: how long one takes, how many a second, what they cost a busy caller."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.bare import BareWorker, share
from benchmarks.kit import WORKERS, Samples, main, median_seconds, seconds, warm_pool, warm_runner

CALLS = 300  # whose median is one sample of a round trip
OUTSTANDING = 5_000
LINKS = 200
CPU_CALLS, CPU_S = 40, 0.025
NAP_S = 0.001
BUSY_S = 0.7
BUSY_CALLS = 4_000  # more than two workers can end in BUSY_S and while they are submitted
NAPS = 300


def noop() -> None:
    return None


def increment(number: int) -> int:
    return number + 1


def nap() -> None:
    time.sleep(NAP_S)


def burn_cpu(cpu_s: float) -> None:
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        pass


def mean_nap_s(times: int) -> float:
    """How long a nap really takes."""
    began_s = time.perf_counter()
    for _ in range(times):
        time.sleep(NAP_S)
    return (time.perf_counter() - began_s) / times


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int) -> int:
        self.count += number
        return self.count


def round_trip(samples: Samples) -> None:
    with BareWorker() as bare, warm_pool() as pool, warm_runner() as runner:
        ours: Any = runner.service(noop)
        runner.get([ours() for _ in range(100)])
        samples.take_turns(
            {
                "pool": lambda: median_seconds(lambda: pool.submit(noop).result(), CALLS),
                "ours": lambda: median_seconds(lambda: ours().get(), CALLS),
                "bare worker": lambda: median_seconds(bare.call, CALLS),
            },
            samples.repeat * 2 - 1,  # cheap, and the row that everybody looks at
        )
        for series, is_one_cpu in (("socketpair, one CPU", True), ("socketpair, two CPUs", False)):
            with bare.pinned(is_one_cpu=is_one_cpu) as can_be:
                if can_be:
                    samples.take_turns({series: lambda: median_seconds(bare.echo, CALLS)})


def outstanding(samples: Samples) -> None:
    with warm_pool() as pool, warm_runner() as runner:
        service: Any = runner.service(noop)
        runner.get([service() for _ in range(100)])

        def ours() -> None:
            runner.get([service() for _ in range(OUTSTANDING)])

        samples.take_turns(
            {
                "pool": lambda: OUTSTANDING / seconds(lambda: _results(pool, OUTSTANDING)),
                "ours": lambda: OUTSTANDING / seconds(ours),
            }
        )


def _results(pool: ProcessPoolExecutor, calls: int) -> None:
    for each in [pool.submit(noop) for _ in range(calls)]:
        each.result()


def busy_caller(samples: Samples) -> None:
    with warm_pool() as pool, warm_runner() as runner:
        service: Any = runner.service(nap)
        naps: Any = runner.service(mean_nap_s)

        def limit() -> float:
            """Calls a second when no worker ever waits for the next one."""
            return float(sum(1 / each for each in runner.get([naps(NAPS) for _ in range(WORKERS)])))

        samples.take_turns(
            {
                "pool": lambda: ended_while_busy([pool.submit(nap) for _ in range(BUSY_CALLS)]),
                "ours": lambda: ended_while_busy([service() for _ in range(BUSY_CALLS)]),
                "workers' limit": limit,
            }
        )


def ended_while_busy(futures: Sequence[Any]) -> float:
    """Calls that end in a second while this thread computes without a pause."""
    before = sum(bool(each.done()) for each in futures)
    began_s = time.perf_counter()
    number = 1
    while time.perf_counter() < began_s + BUSY_S:
        for _ in range(1_000):
            number = number * 48_271 % 2_147_483_647
    ended = sum(bool(each.done()) for each in futures) - before
    took_s = time.perf_counter() - began_s
    assert before + ended < len(futures), "the calls ran out: raise BUSY_CALLS"
    for each in futures:
        each.cancel()
    for each in futures:
        with contextlib.suppress(BaseException):  # cancelled ones say so
            each.exception()
    return ended / took_s


def cpu(samples: Samples) -> None:
    """CPU seconds a second: 2.0 is the most that two workers give on two idle CPUs."""
    total_s = CPU_CALLS * CPU_S
    with (
        BareWorker() as one,
        BareWorker() as other,
        warm_pool() as pool,
        warm_runner() as runner,
    ):
        service: Any = runner.service(burn_cpu)

        def bare() -> None:
            share(CPU_S, CPU_CALLS, (one, other))

        def theirs() -> None:
            for each in [pool.submit(burn_cpu, CPU_S) for _ in range(CPU_CALLS)]:
                each.result()

        def ours() -> None:
            runner.get([service(CPU_S) for _ in range(CPU_CALLS)])

        subjects = {"bare workers": bare, "pool": theirs, "ours": ours}
        for _ in range(samples.repeat):
            for series, work in subjects.items():
                samples.add(series, total_s / seconds(work))


def chain(samples: Samples) -> None:
    with warm_pool() as pool, warm_runner() as runner:
        service: Any = runner.service(increment)
        runner.get([service(0) for _ in range(100)])

        def ours() -> None:
            future = service(0)
            for _ in range(LINKS - 1):
                future = service(future)
            assert future.get() == LINKS

        def theirs() -> None:  # a future cannot be an argument: the caller waits for each
            number = 0
            for _ in range(LINKS):
                number = pool.submit(increment, number).result()

        samples.take_turns(
            {
                "pool": lambda: seconds(theirs) / LINKS,
                "ours": lambda: seconds(ours) / LINKS,
                "round trip": lambda: median_seconds(lambda: service(0).get(), CALLS),
            }
        )


def stateful(samples: Samples) -> None:
    with warm_runner() as runner:
        counter: Any = runner.service(Counter)
        stateless: Any = runner.service(increment)
        runner.get([each(1) for each in (counter.add, stateless) for _ in range(100)])
        samples.take_turns(
            {
                "stateless": lambda: median_seconds(lambda: stateless(1).get(), CALLS),
                "ours": lambda: median_seconds(lambda: counter.add(1).get(), CALLS),
            }
        )


if __name__ == "__main__":
    main(round_trip, outstanding, busy_caller, cpu, chain, stateful)
