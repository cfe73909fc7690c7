# SPDX-License-Identifier: Apache-2.0
"""What the server is started with."""

from __future__ import annotations

from dataclasses import dataclass

from flamepy.server.certificates import ServerTls

DEFAULT_MEMORY_BYTES = 1 << 30  # as the cache of a cluster has, when its configuration says nothing
DEFAULT_GRACE_S = 10.0  # most calls of a notebook end in that time
DEFAULT_START_LIMIT_S = 60.0  # a Python that imports big libraries from a slow disk before it listens


@dataclass(frozen=True)
class Settings:
    """host: to listen on; 0 as a port: a free one; slots: workers at one time; memory_bytes: for values, before the
    least recently used ones move to disk; grace_s: for running tasks at the end; start_limit_s: until a worker listens;
    advertised_name: what others call this machine, None = as it is listened on; tls: None = nothing is encrypted.
    """

    host: str
    port: int
    cache_port: int
    slots: int
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    grace_s: float = DEFAULT_GRACE_S
    start_limit_s: float = DEFAULT_START_LIMIT_S
    advertised_name: str | None = None
    tls: ServerTls | None = None
