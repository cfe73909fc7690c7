# SPDX-License-Identifier: Apache-2.0
"""How many processors this process may really use: affinity and control groups count, not what the machine has."""

from __future__ import annotations

import math
import os
from pathlib import Path


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
