# SPDX-License-Identifier: Apache-2.0
"""How many processors this process may really use, and how many threads of libraries each worker gets of them."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

# Each of these starts as many threads as there are processors, in every worker. The first one stands for those below it
# too, which follow it when they are not set.
_OPENMP = "OMP_NUM_THREADS"
_LIKE_OPENMP = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OWN_WAYS = ("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")


def usable_cpus() -> int:
    """At least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_cpus(Path("/sys/fs/cgroup"))
    return max(1, min(allowed, allowed if quota is None else math.ceil(quota)))


def _cgroup_cpus(root: Path) -> float | None:
    """The quota of this process's control group in processors, None = no quota. Version 2, then version 1."""
    try:
        quota, period = (root / "cpu.max").read_text().split()
        return None if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        pass
    try:
        micros = int((root / "cpu/cpu.cfs_quota_us").read_text())
        return None if micros <= 0 else micros / int((root / "cpu/cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None


def thread_limits(environ: Mapping[str, str], *, workers: int) -> dict[str, str]:
    """Variables for the environment of each of so many workers, so that together they use each processor once.

    What the user has set stays, and so does what follows from it.
    """
    names = _OWN_WAYS if _OPENMP in environ else (_OPENMP, *_LIKE_OPENMP, *_OWN_WAYS)
    threads = str(max(1, usable_cpus() // max(1, workers)))
    return {name: threads for name in names if name not in environ}
