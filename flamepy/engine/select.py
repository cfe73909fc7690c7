# SPDX-License-Identifier: Apache-2.0
"""Which engine a configuration means, and how it is started: a table with one row for each kind of address."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from flamepy.config import ContextFields, FlameContextTls
from flamepy.core.cluster import ClusterView
from flamepy.core.descriptors import descriptors_needed
from flamepy.engine.api import Engine
from flamepy.errors import ConnectionLost, FlameError, InvalidArgument, TlsFailed

_GRPC_VERBOSITY = "GRPC_VERBOSITY"
UPLINK_VARIABLE = "FLAME_UPLINK"  # set in our worker processes: the socket of the engine that runs them


def is_inside_worker(environ: Mapping[str, str]) -> bool:
    """Does this process run calls itself? Then its engine is the one that started it."""
    return bool(environ.get(UPLINK_VARIABLE))


@dataclass(frozen=True)
class Target:
    """What a configuration connects to, and as whom: contexts with the same target share an engine."""

    endpoint: str
    tls: FlameContextTls | None = None
    cache_endpoint: str | None = None
    cache_tls: FlameContextTls | None = None


HERE = Target("")  # what is meant without an endpoint: this machine, or in a call the engine that runs it


def target_of(context: ContextFields) -> Target:
    if context.endpoint is None:
        return HERE
    return Target(context.endpoint, context.tls, context.cache_endpoint, context.cache_tls)


def start_engine(context: ContextFields, environ: Mapping[str, str]) -> Engine:
    """Start the engine of this configuration. Raises InvalidArgument."""
    return _STARTERS[urlsplit(target_of(context).endpoint).scheme](context, environ)


def _start_here(context: ContextFields, environ: Mapping[str, str]) -> Engine:
    """In a worker: the engine that runs it; elsewhere the embedded one."""
    if is_inside_worker(environ):
        from flamepy.engine.uplink.client import UplinkEngine

        return UplinkEngine(environ[UPLINK_VARIABLE])
    with descriptors_needed("cannot start workers"):  # imports need files, too
        from flamepy.engine.local.workers.startup import StartupResources

        startup = StartupResources()
        from flamepy.engine.local.engine import EmbeddedEngine  # meanwhile the zygote starts

        return EmbeddedEngine(workers=context.workers, memory_limit_bytes=context.memory_limit_bytes, startup=startup)


def load_cluster() -> None:
    """Load what speaks to clusters: that takes time, which is not theirs. Raises InvalidArgument without grpcio."""
    try:
        _load_cluster_engine()
    except ImportError as error:
        raise InvalidArgument(f"{_extra_for(error)}.") from error


def _load_cluster_engine() -> None:
    """Raises ImportError.

    gRPC looks into the environment when it is loaded: without a word there, it writes each certificate that one side
    refuses to the terminal, and so into notebooks, beside the error that says it better.
    """
    is_ours = _GRPC_VERBOSITY not in os.environ
    if is_ours:
        os.environ[_GRPC_VERBOSITY] = "NONE"  # older ones call a refused certificate an error
    try:
        import flamepy.engine.cluster.engine  # noqa: F401
    finally:
        if is_ours:
            os.environ.pop(_GRPC_VERBOSITY, None)


def cluster_of(context: ContextFields, *, timeout_s: float) -> ClusterView:
    """How the cluster is that the configuration means, without an engine: whether it answers, and with what.

    Raises FlameError for what does answer, and is no cluster, and where grpcio is not installed.
    """
    assert context.endpoint is not None
    load_cluster()
    from flamepy.engine.cluster.engine import connection_to
    from flamepy.engine.cluster.survey import ask

    connection = connection_to(context)
    try:
        return ask(connection, timeout_s)
    finally:
        connection.close(timeout_s)


def _start_cluster(context: ContextFields, environ: Mapping[str, str]) -> Engine:
    assert context.endpoint is not None
    cure = f"remove 'endpoint' from {context.source}" if context.source else "unset FLAME_ENDPOINT"
    if context.source and context.endpoint == environ.get("FLAME_ENDPOINT"):
        cure = "unset FLAME_ENDPOINT"
    try:
        _load_cluster_engine()
    except ImportError as error:
        raise no_cluster(context.endpoint, _extra_for(error), cure) from error
    from flamepy.engine.cluster.engine import ClusterEngine

    try:
        return ClusterEngine(context)
    except TlsFailed as error:
        raise no_cluster(context.endpoint, error.reason.rstrip("."), cure) from error
    except ConnectionLost as error:
        reason = f"it does not answer ({error.reason}). See whether it runs, and at this address"
        raise no_cluster(context.endpoint, reason, cure) from error
    except FlameError as error:
        raise no_cluster(context.endpoint, str(error).rstrip("."), cure) from error


def _extra_for(error: ImportError) -> str:
    return f"{error.name} is missing, install it with pip install 'flame-jupyter[cluster]'"


_STARTERS: Mapping[str, Callable[[ContextFields, Mapping[str, str]], Engine]] = {
    "": _start_here,
    "http": _start_cluster,
    "https": _start_cluster,
}


def no_cluster(endpoint: str, reason: str, cure: str) -> InvalidArgument:
    """The error to raise where the cluster at ``endpoint`` is wanted. cure: how to do without it."""
    return InvalidArgument(f"cannot use the cluster at {endpoint}: {reason}. To use the embedded engine, {cure}.")
