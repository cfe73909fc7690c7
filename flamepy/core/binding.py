# SPDX-License-Identifier: Apache-2.0
"""What ties a worker to one application for its whole life."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Binding:
    """worker_id: how the engine knows it; uplink: the address of the host engine.

    root: the unpacked package, the working directory and first on ``sys.path``; None = the zygote's own directory.
    sys_path: the rest of the import path; environ: the whole environment.
    """

    application: str
    worker_id: int
    root: str | None
    sys_path: tuple[str, ...]
    environ: dict[str, str]
    uplink: str
