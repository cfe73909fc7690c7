# SPDX-License-Identifier: Apache-2.0
"""Which engine a configuration means (design decision 21), and how it is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType

from flamepy.config import ContextFields
from flamepy.engine.api import Engine
from flamepy.errors import InvalidArgument, InvalidState

UPLINK_VARIABLE = "FLAME_UPLINK"  # set in our worker processes: the socket of the engine that runs them


def is_inside_worker(environ: Mapping[str, str]) -> bool:
    """Does this process run calls itself? Then its engine is the one that started it."""
    return bool(environ.get(UPLINK_VARIABLE))


def refuse_in_import() -> None:
    """In a worker: raises InvalidState when this thread is importing a module.

    A module that makes calls while it is imported would make them again in each worker that needs it.
    """
    frame: FrameType | None = sys._getframe()
    module = None
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>":
            module = frame.f_globals.get("__name__")
        elif module is not None and code.co_filename.startswith("<frozen importlib"):
            raise InvalidState(
                f"the module {module} makes calls while it is imported, and each worker that needs it would make them "
                "again. Put them below 'if __name__ == \"__main__\":', or into a function."
            )
        frame = frame.f_back


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
    from flamepy.engine.local.ignition import Ignition

    ignition = Ignition()
    from flamepy.engine.local.engine import EmbeddedEngine  # meanwhile the zygote starts

    return EmbeddedEngine(workers=context.workers, memory_limit_bytes=context.memory_limit_bytes, ignition=ignition)


def no_cluster(endpoint: str, cure: str) -> InvalidArgument:
    """The error to raise when somebody wants the cluster at ``endpoint``."""
    return InvalidArgument(
        f"cannot use the cluster at {endpoint}: this release runs calls on this machine only. "
        f"To use the embedded engine, {cure}."
    )
