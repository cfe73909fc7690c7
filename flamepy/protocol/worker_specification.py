# SPDX-License-Identifier: Apache-2.0
"""What ties a worker to one application for its whole life."""

from __future__ import annotations

from dataclasses import dataclass

# Among the environments of a Runner's application: the directory that its package was made of, for tracebacks.
PROJECT_VARIABLE = "FLAME_PROJECT_ROOT"


@dataclass(frozen=True)
class WorkerSpecification:
    """worker_id: how the engine knows it; uplink: the address of the host engine.

    root: the unpacked package, the working directory; None = the zygote's own directory. archive: what has to be in
    ``root`` before anything runs (app_directory.py), None = nothing. path_before, path_behind: the import path around
    it. loaded_first: modules that the package must not hide, where it would. environ: the whole environment.
    reuses_memory: that of values that were dropped.
    """

    application: str
    worker_id: int
    root: str | None
    archive: str | None
    path_before: tuple[str, ...]
    path_behind: tuple[str, ...]
    loaded_first: tuple[str, ...]
    environ: dict[str, str]
    uplink: str
    reuses_memory: bool
