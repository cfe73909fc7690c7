# SPDX-License-Identifier: Apache-2.0
"""The cluster that is configured: does it answer, has it room, does its object cache answer?"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import urlsplit

from flamepy.config import ContextFields, FlameContextTls
from flamepy.core.cluster import ClusterView
from flamepy.engine.select import cluster_of
from flamepy.errors import FlameError, TlsFailed
from flamepy.tls.diagnosis import Validity, validity_of, why_refused
from flamepy.tools.findings import Finding, Level

GROUP = "Cluster"
ENDPOINT = "endpoint"
TIMEOUT_S = 2.0
_MAX_NODES = 8
_CACHE_PORTS = {"http": 80, "https": 443}
_PORT, _CACHE_PORT = 8080, 9090
_RENEWAL_MAX = timedelta(days=14)  # of years, too


def look_at_cluster(context: ContextFields) -> Iterator[Finding]:
    """Nothing where calls run on this machine. The first finding is WRONG when the cluster does not answer."""
    if context.endpoint is None:
        return
    try:
        view = cluster_of(context, timeout_s=TIMEOUT_S)
    except FlameError as error:
        yield Finding.of_error(GROUP, ENDPOINT, error)
        return
    if view.problem:
        seen = f"{view.endpoint} does not answer ({view.problem})"
        yield Finding(GROUP, ENDPOINT, seen, Level.WRONG, _cure(context))
        return
    yield Finding(GROUP, ENDPOINT, f"{view.endpoint} answers in {view.answer_s * 1000:.1f} ms")
    yield from _expiry("certificate", view.endpoint, context.tls, _PORT)
    yield _nodes(view)
    yield _executors(view)
    yield Finding(GROUP, "sessions", f"{view.sessions or 'none'} open, of all programs")
    if context.cache_endpoint is not None:
        yield _cache(context.cache_endpoint, context.cache_tls)
        subject = "certificate of the object cache"
        yield from _expiry(subject, context.cache_endpoint, context.cache_tls, _CACHE_PORT)


def _expiry(subject: str, endpoint: str, tls: FlameContextTls | None, default_port: int) -> Iterator[Finding]:
    validity = validity_of(endpoint, tls, default_port=default_port)
    if validity is not None and is_renewal_late(validity, datetime.now(timezone.utc)):
        seen = f"it expires on {validity.ends:%Y-%m-%d at %H:%M} UTC"
        yield Finding(GROUP, subject, seen, Level.NOTE, "Have it renewed there: no program connects afterwards.")


def is_renewal_late(validity: Validity, now: datetime) -> bool:
    """Where it works by itself, it is done at two thirds of the time, be that a day or 90: half of the rest is left."""
    left = validity.ends - now
    return left < min(_RENEWAL_MAX, (validity.ends - validity.begins) / 6)


def _cure(context: ContextFields) -> str:
    is_variable = context.endpoint == os.environ.get("FLAME_ENDPOINT")
    without = "unset FLAME_ENDPOINT" if is_variable else f"take its 'endpoint' out of {context.source}"
    return f"See whether it runs, and at this address. To run calls on this machine, {without}."


def connection_problem(endpoint: str, timeout_s: float) -> str:
    """Why nothing takes a connection at the address of an object cache; "" = something does."""
    parts = urlsplit(endpoint)
    try:
        address = (parts.hostname or "", parts.port or _CACHE_PORTS.get(parts.scheme, _CACHE_PORT))
        with socket.create_connection(address, timeout=timeout_s):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _nodes(view: ClusterView) -> Finding:
    named = [
        f"{each.name} ({f'{each.slots} slots' if each.is_ready else 'not ready'})" for each in view.nodes[:_MAX_NODES]
    ]
    more = len(view.nodes) - len(named)
    shown = ", ".join([*named, *([f"{more} more"] if more else [])])
    if not any(each.is_ready for each in view.nodes):
        cure = "Start an executor manager, or wait until a node has come back: calls wait until then."
        return Finding(GROUP, "nodes", f"none is ready{f': {shown}' if shown else ''}", Level.WRONG, cure)
    return Finding(GROUP, "nodes", shown)


def _executors(view: ClusterView) -> Finding:
    used = view.own + view.others
    seen = f"{used} of {view.slots} slots in use" if used else f"all {view.slots} slots are free"
    if used < view.slots:
        return Finding(GROUP, "executors", seen)
    cure = (
        "Calls wait for a free one: a session gives its executors back some time after its last call (delay_release)."
    )
    return Finding(GROUP, "executors", seen, Level.NOTE, cure)


def _cache(endpoint: str, tls: FlameContextTls | None) -> Finding:
    problem = connection_problem(endpoint, TIMEOUT_S)
    if not problem:
        refusal = why_refused(endpoint, tls, default_port=_CACHE_PORT)
        if refusal is not None:
            return Finding.of_error(GROUP, "object cache", TlsFailed(endpoint, refusal))
        return Finding(GROUP, "object cache", f"{endpoint} takes connections")
    cure = "See whether it runs, and at this address (cache.endpoint in flame.yaml, or FLAME_CACHE_ENDPOINT)."
    return Finding(GROUP, "object cache", f"{endpoint} does not answer ({problem})", Level.WRONG, cure)
