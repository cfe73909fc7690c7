# SPDX-License-Identifier: Apache-2.0
"""What helper processes hold while nothing happens. One after the other: they would share pages of libraries."""

from __future__ import annotations

import gc
from typing import Any

from benchmarks.kit import WORKERS, Samples, main, warm_pool, warm_runner


def noop() -> None:
    return None


def idle(samples: Samples) -> None:
    import flamepy
    from benchmarks.usage import helpers_bytes  # here: the pool's workers load this script, and need no psutil

    for _ in range(samples.repeat):
        with warm_runner() as runner:
            service: Any = runner.service(noop)
            runner.get([service() for _ in range(100 * WORKERS)])
            gc.collect()
            samples.add("ours", helpers_bytes())
        flamepy.shutdown()
        with warm_pool() as pool:
            for each in [pool.submit(noop) for _ in range(100 * WORKERS)]:
                each.result()
            samples.add("pool", helpers_bytes())


if __name__ == "__main__":
    main(idle)
