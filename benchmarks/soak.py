# SPDX-License-Identifier: Apache-2.0
"""``python -m benchmarks.soak [CALLS] [SEED]``: many calls beside everything that a program may do to them, at random.

Calls fork, kill their workers, raise, are cancelled and make calls of their own; callbacks raise what is no exception;
the scratch directory is cleaned and descriptors run out. Every call has to give its value, or an error that names what
was done to it, and the engine has to go on by itself. Exits with 0 when that is so.
"""

from __future__ import annotations

import collections
import contextlib
import logging
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from flamepy import CallCancelled, EngineFailed, FlameError, NotFound, ObjectFuture, Runner, WorkerLost

WAIT_S = 60.0
BATCH_CALLS = 500


def double(value: int) -> int:
    return 2 * value


def fork(value: int) -> int:
    pid = os.fork()
    if pid == 0:
        if value % 3 == 0:
            sys.exit(1)
        if value % 3 == 1:
            raise RuntimeError("in the child")
        return -1
    os.waitpid(pid, 0)
    return 2 * value


def kill_own_worker(value: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return value


def leave(value: int) -> None:
    os._exit(value % 100)


def fail(value: int) -> None:
    raise ValueError(value)


def array(value: int) -> Any:
    return np.full(20_000, value)


def nested(value: int) -> int:
    with Runner("soak-inside") as runner:
        return int(runner.service(double)(value).get(WAIT_S))


def nap(_: int) -> None:
    time.sleep(0.05)


class Odd(BaseException):
    """What tools raise so that ``except Exception`` does not catch it."""


def _is_doubled(value: int) -> Callable[[Any], bool]:
    return lambda result: bool(result == 2 * value)


# what a call does, how often, whether a value is right, which errors are right
KINDS: list[tuple[Callable[..., Any], int, Callable[[int], Callable[[Any], bool]], tuple[type[BaseException], ...]]] = [
    (double, 2000, _is_doubled, ()),
    (array, 60, lambda value: lambda result: len(result) == 20_000 and result[0] == result[-1] == value, ()),
    (fork, 8, _is_doubled, ()),
    (fail, 20, lambda _: lambda _: False, (ValueError,)),
    (kill_own_worker, 3, lambda _: lambda _: False, (WorkerLost,)),
    (leave, 3, lambda _: lambda _: False, (WorkerLost,)),
    (nested, 2, _is_doubled, ()),
    (nap, 6, lambda _: lambda result: result is None, ()),
]


class Soak:
    def __init__(self, runner: Runner, chance: random.Random) -> None:
        self._runner = runner
        self._chance = chance
        self._services = [runner.service(function) for function, *_ in KINDS]
        self.counted: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._trouble: set[str] = set()  # what was done from outside while the batch ran

    def batch(self) -> None:
        """Make calls, do something to them, and look how each has ended."""
        self._trouble.discard("descriptors")  # what a cleaner takes away stays away until a Runner is made anew
        weights = [weight for _, weight, *_ in KINDS]
        made = []
        with self._from_outside():
            for number in range(BATCH_CALLS):
                index = self._chance.choices(range(len(KINDS)), weights)[0]
                value = self._chance.randrange(1000)
                try:
                    future = self._services[index](value)
                except FlameError as error:
                    self._judge_error(KINDS[index][0].__name__, error, ())
                    continue
                if self._chance.random() < 0.01:
                    with contextlib.suppress(Odd):  # of a call that has ended already it comes here
                        future.add_done_callback(self._raise_odd)
                is_cancelled = self._chance.random() < 0.005 and future.cancel()
                made.append((future, index, value, is_cancelled))
                if number % 100 == 0:
                    future.wait(0.01)
            for each in made:
                self._judge(*each)

    @contextlib.contextmanager
    def _from_outside(self) -> Iterator[None]:
        what = self._chance.random()
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)
        if what < 0.05:
            self._trouble.add("cleaned")
            for scratch in Path(tempfile.gettempdir()).glob("flame-*"):
                shutil.rmtree(scratch / self._chance.choice(["", "apps", "packages", "uplink"]), ignore_errors=True)
        elif what < 0.15:
            self._trouble.add("descriptors")
            few = len(os.listdir("/proc/self/fd")) + self._chance.randrange(4, 40)
            resource.setrlimit(resource.RLIMIT_NOFILE, (few, limit[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)

    @staticmethod
    def _raise_odd(_: object) -> None:
        raise Odd

    def _judge(self, future: ObjectFuture, index: int, value: int, is_cancelled: bool) -> None:
        function, _, expected, errors = KINDS[index]
        try:
            if not future.wait(WAIT_S):
                self.wrong.append(f"{future} never ends")
                return
            result = future.get(0)
        except BaseException as error:  # noqa: BLE001 - errors are what this looks at
            self._judge_error(function.__name__, error, (*errors, *((CallCancelled,) if is_cancelled else ())))
            return
        if is_cancelled or not expected(value)(result):
            self.wrong.append(f"{function.__name__}({value}) gave {result!r:.60}, cancelled={is_cancelled}")
        self.counted["values"] += 1

    def _judge_error(self, name: str, error: BaseException, expected: tuple[type[BaseException], ...]) -> None:
        self.counted[type(error).__name__] += 1
        text = str(error)
        told = "descriptors" in self._trouble and "ulimit -n" in text
        told = told or ("cleaned" in self._trouble and ("removed" in text or isinstance(error, NotFound)))
        if isinstance(error, EngineFailed) or not (isinstance(error, expected) or told):
            self.wrong.append(f"{name} {sorted(self._trouble)}: {type(error).__name__}: {text[:300]}")


def main() -> int:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    tempfile.tempdir = tempfile.mkdtemp(prefix="soak-")
    began_s = time.monotonic()
    made = reopened = 0
    wrong: list[str] = []
    counted: collections.Counter[str] = collections.Counter()
    while made < calls and not wrong:  # a Runner of its own now and then, also because cleaning takes its files away
        with Runner("soak") as runner:
            soak = Soak(runner, random.Random(seed + reopened))
            for _ in range(20):
                soak.batch()
                made += BATCH_CALLS
        wrong += soak.wrong
        counted += soak.counted
        reopened += 1
        spent_s = time.monotonic() - began_s
        print(f"{spent_s:6.0f} s  {made} calls, {reopened} Runners, {threading.active_count()} threads, "
              f"{len(os.listdir('/proc/self/fd'))} descriptors  {dict(counted)}", flush=True)  # fmt: skip
    for each in wrong[:20]:
        print("WRONG", each)
    shutil.rmtree(tempfile.tempdir, ignore_errors=True)
    return bool(wrong)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # callbacks that raise are logged, by the thousand
    sys.exit(main())
