# SPDX-License-Identifier: Apache-2.0
"""The same with the standard library's process pool."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor


def increment(number: int) -> int:
    return number + 1


if __name__ == "__main__":
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(increment, 1).result() == 2
        print("R", flush=True)
