# SPDX-License-Identifier: Apache-2.0
"""Which engine a configuration means (design decision 21), and how it is started."""

from __future__ import annotations

from collections.abc import Mapping

from flamepy.config import ContextFields
from flamepy.engine.api import Engine
from flamepy.errors import InvalidArgument

UPLINK_VARIABLE = "FLAME_UPLINK"  # set in our worker processes: the socket of the engine that runs them


def is_inside_worker(environ: Mapping[str, str]) -> bool:
    """Does this process run calls itself? Then its engine is the one that started it."""
    return bool(environ.get(UPLINK_VARIABLE))


def select_engine(context: ContextFields, environ: Mapping[str, str]) -> Engine:
    """Start the engine. In a worker: the one that runs it; no endpoint: the embedded one. Raises InvalidArgument."""
    if is_inside_worker(environ):
        from flamepy.engine.uplink.client import UplinkEngine

        return UplinkEngine(environ[UPLINK_VARIABLE])
    if context.endpoint is not None:
        cure = f"remove 'endpoint' from {context.source}" if context.source else "unset FLAME_ENDPOINT"
        if context.source and context.endpoint == environ.get("FLAME_ENDPOINT"):
            cure = "unset FLAME_ENDPOINT"
        raise no_cluster(context.endpoint, cure)
    from flamepy.engine.local.workers.startup import Ignition

    ignition = Ignition()
    from flamepy.engine.local.engine import EmbeddedEngine  # meanwhile the zygote starts

    return EmbeddedEngine(workers=context.workers, memory_limit_bytes=context.memory_limit_bytes, ignition=ignition)


def no_cluster(endpoint: str, cure: str) -> InvalidArgument:
    """The error to raise when somebody wants the cluster at ``endpoint``."""
    return InvalidArgument(
        f"cannot use the cluster at {endpoint}: this release runs calls on this machine only. "
        f"To use the embedded engine, {cure}."
    )
