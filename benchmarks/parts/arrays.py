# SPDX-License-Identifier: Apache-2.0
"""Calls that carry 100 MB, and many that carry 1 MB. What each costs is compared with copying the bytes once."""

from __future__ import annotations

import collections
import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

import flamepy
from benchmarks.kit import Samples, main, median_seconds, seconds, warm_pool, warm_runner
from benchmarks.usage import bytes_of_all

Array = npt.NDArray[np.float64]

NUMBERS = 12_500_000  # 100 MB
BLOCK_NUMBERS = 125_000  # 1 MB
SHARED_BY = 8  # calls
STRIDE = 4_096  # a call looks at every eighth page: the value has to be there, computing is not the subject
POOL_REPEAT = 2  # seconds each
COPIES = 3  # whose median is one sample of memcpy
BLOCKS, BLOCKS_OF_POOL = 10_000, 500
IN_FLIGHT = 16  # blocks that are asked for and not yet dropped
LOOK_EVERY = 250  # blocks; at how much memory there is


def sum_of_some(array: Array) -> float:
    return float(array[::STRIDE].sum())


@functools.lru_cache(maxsize=1)
def _kept_array(numbers: int) -> Array:
    return np.full(numbers, 1.5)


def kept_array(numbers: int) -> Array:
    """For the pool, whose workers keep it in their copy of this module."""
    return _kept_array(numbers)


class Source:
    """For ours: with autoscale=True each worker keeps one."""

    def __init__(self) -> None:
        self.array, self.block = np.full(NUMBERS, 1.5), np.full(BLOCK_NUMBERS, 1.5)

    def ready(self) -> None:
        return None

    def whole(self) -> Array:
        return self.array

    def part(self, number: int) -> Array:
        self.block[0] = number
        return self.block


class Holder:
    """A service with a big state."""

    def __init__(self) -> None:
        self.array = np.full(NUMBERS, 1.5)

    def look(self) -> float:
        return float(self.array[0])


def copying(numbers: int = NUMBERS) -> Callable[[], float]:
    """One sample of memcpy, warm: seconds for 8 bytes times ``numbers``."""
    source, target = np.full(numbers, 1.5), np.zeros(numbers)
    return lambda: median_seconds(lambda: np.copyto(target, source), COPIES)


def argument(samples: Samples) -> None:
    """Put once, given to all, and deleted, as a loop over big values does; the memory is there already."""
    array = np.full(NUMBERS, 1.5)
    with warm_pool() as pool, warm_runner() as runner:
        service: Any = runner.service(sum_of_some)

        def theirs() -> None:
            for each in [pool.submit(sum_of_some, array) for _ in range(SHARED_BY)]:
                each.result()

        _put_and_share(runner, service, array)
        memcpy = copying()
        samples.take_turns({"memcpy": memcpy, "ours": lambda: _put_and_share(runner, service, array)})
        samples.take_turns({"memcpy": memcpy, "pool": lambda: seconds(theirs)}, POOL_REPEAT)


def _put_and_share(runner: flamepy.Runner, service: Any, array: Array) -> float:
    array[0] += 1  # else it would be the value of the last time
    refs = []

    def share() -> None:
        refs.append(runner.put_object(array))
        runner.get([service(refs[0]) for _ in range(SHARED_BY)])

    took_s = seconds(share)
    flamepy.delete_objects(refs[0].key)
    return took_s


def argument_cold(samples: Samples) -> None:
    array, memcpy = np.full(NUMBERS, 1.5), copying()
    for _ in range(samples.repeat):
        samples.add("memcpy", memcpy())
        with _new_engine() as runner:
            service: Any = runner.service(sum_of_some)
            runner.get([service(np.ones(1)) for _ in range(SHARED_BY)])  # numpy is loaded there, no memory is
            samples.add("ours", _put_and_share(runner, service, array))


def argument_by_value(samples: Samples) -> None:
    array = np.full(NUMBERS, 1.5)
    with warm_pool() as pool, warm_runner() as runner:
        service: Any = runner.service(sum_of_some)

        def theirs() -> None:
            for each in [pool.submit(sum_of_some, array) for _ in range(SHARED_BY)]:
                each.result()

        def ours() -> float:
            array[0] += 1
            return seconds(lambda: runner.get([service(array) for _ in range(SHARED_BY)]))

        ours()
        memcpy = copying()
        samples.take_turns({"memcpy": memcpy, "ours": ours})
        samples.take_turns({"memcpy": memcpy, "pool": lambda: seconds(theirs)}, POOL_REPEAT)


def _arrival_s(fetch: Callable[[], Any]) -> float:
    """How long until the array is here and has been looked at."""
    arrived = []

    def take() -> None:
        arrived.append(fetch())
        sum_of_some(arrived[0])

    return seconds(take)


def result(samples: Samples) -> None:
    """The array exists in the worker: what is measured is how it gets here, not how it is dropped again."""
    with warm_pool() as pool, warm_runner() as runner:
        source: Any = runner.service(Source, autoscale=True)
        runner.get([source.whole() for _ in range(4)])
        for each in [pool.submit(kept_array, NUMBERS) for _ in range(4)]:
            each.result()
        samples.take_turns(
            {
                "memcpy": copying(),
                "ours": lambda: _arrival_s(lambda: source.whole().get()),
                "pool": lambda: _arrival_s(lambda: pool.submit(kept_array, NUMBERS).result()),
            }
        )


def result_cold(samples: Samples) -> None:
    memcpy = copying()
    for _ in range(samples.repeat):
        samples.add("memcpy", memcpy())
        with _new_engine() as runner:
            source: Any = runner.service(Source, autoscale=True)
            runner.get([source.ready() for _ in range(4)])
            samples.add("ours", _arrival_s(lambda: source.whole().get()))  # noqa: B023 - called at once


def state_unchanged(samples: Samples) -> None:
    one, other = (np.full(NUMBERS, 1.5).tobytes() for _ in range(2))  # pages of their own, unlike those of zeros
    with warm_runner() as runner:
        holder: Any = runner.service(Holder)
        runner.get([holder.look() for _ in range(2)])
        samples.take_turns(
            {
                "memcmp": lambda: median_seconds(lambda: one == other, COPIES),
                "ours": lambda: seconds(lambda: holder.look().get()),
            }
        )


def churn(samples: Samples) -> None:
    """Once, whatever ``repeat`` says: 10 GB pass."""
    memcpy = copying()
    with warm_pool() as pool, warm_runner() as runner:
        source: Any = runner.service(Source, autoscale=True)
        runner.get([source.ready() for _ in range(4)])
        for each in [pool.submit(kept_array, BLOCK_NUMBERS) for _ in range(4)]:
            each.result()
        _copy_at(samples, memcpy)
        before = bytes_of_all()  # the arrays of memcpy are there by now
        most = 0
        looking_s = 0.0

        def check(number: int, block: Array) -> None:
            nonlocal most, looking_s
            assert block[0] == number, f"block {number} has the content of {block[0]}"
            if number % LOOK_EVERY == 0:
                began_s = time.perf_counter()
                most = max(most, bytes_of_all() - before)
                looking_s += time.perf_counter() - began_s

        took_s = seconds(lambda: _pass_by(BLOCKS, source.part, lambda future: future.get(), check))
        samples.add("ours", BLOCKS * 8 * BLOCK_NUMBERS / (took_s - looking_s))
        samples.add("most added", most)
        pool_s = seconds(
            lambda: _pass_by(
                BLOCKS_OF_POOL,
                lambda _: pool.submit(kept_array, BLOCK_NUMBERS),
                lambda future: future.result(),
                lambda *_: None,
            )
        )
        samples.add("pool", BLOCKS_OF_POOL * 8 * BLOCK_NUMBERS / pool_s)
        _copy_at(samples, memcpy)


def _copy_at(samples: Samples, memcpy: Callable[[], float]) -> None:
    for _ in range(samples.repeat):
        samples.add("memcpy", 8 * NUMBERS / memcpy())


def _pass_by(
    blocks: int, ask: Callable[[int], Any], get: Callable[[Any], Array], check: Callable[[int, Array], None]
) -> None:
    waiting: collections.deque[tuple[int, Any]] = collections.deque()
    for number in range(blocks):
        if len(waiting) == IN_FLIGHT:
            oldest, future = waiting.popleft()
            check(oldest, get(future))
        waiting.append((number, ask(number)))
    for oldest, future in waiting:
        check(oldest, get(future))


@contextlib.contextmanager
def _new_engine() -> Iterator[flamepy.Runner]:
    """Workers are started, but no memory of an earlier value is left."""
    flamepy.shutdown()
    with warm_runner() as runner:
        yield runner


if __name__ == "__main__":
    main(argument, argument_cold, argument_by_value, result, result_cold, state_unchanged, churn)
