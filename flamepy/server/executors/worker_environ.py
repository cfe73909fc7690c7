# SPDX-License-Identifier: Apache-2.0
"""What a worker finds in its environment, and what its command means in it: as an executor of a cluster has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from flamepy.config import FlameContextTls

_VARIABLE = re.compile(r"\$(?:\{([^{}]*)\}|([A-Za-z_][A-Za-z0-9_]*))")
_PATHS = ("PATH", "PYTHONPATH", "LD_LIBRARY_PATH")  # what an installed package adds to stands in front


@dataclass(frozen=True)
class Surroundings:
    """Where a worker of this server is. instance_socket: the path to listen on; temporary: a directory of its own.

    tls: what it trusts and shows when it comes for objects.
    """

    instance_socket: str
    endpoint: str
    cache_endpoint: str
    home: str
    socket_directory: str
    temporary: str
    tls: FlameContextTls | None = None


def worker_environ(
    inherited: Mapping[str, str],
    wanted: Mapping[str, str],
    installed: Mapping[str, str],
    around: Surroundings,
) -> dict[str, str]:
    """inherited: of the server; wanted: of the application's author; installed: of the package's installer."""
    log = inherited.get("RUST_LOG", "info")
    environ = {
        **inherited,
        "FLAME_HOME": around.home,
        **{name: expanded(value, {**inherited, "FLAME_HOME": around.home}) for name, value in wanted.items()},
        "RUST_LOG": log,
        "FLAME_LOG": log,
        "FLAME_INSTANCE_ENDPOINT": around.instance_socket,
        "FLAME_ENDPOINT": around.endpoint,
        "FLAME_CACHE_ENDPOINT": around.cache_endpoint,
        "FLAME_SOCKET_DIR": around.socket_directory,
    }
    if around.tls is not None:
        told = {
            "FLAME_CA_FILE": around.tls.ca_file,
            "FLAME_CERT_FILE": around.tls.cert_file,
            "FLAME_KEY_FILE": around.tls.key_file,
        }
        environ.update({name: file for name, file in told.items() if file is not None})
    for name, value in installed.items():
        if name in _PATHS:
            environ[name] = f"{value}:{environ[name]}" if environ.get(name) else value
        elif name not in wanted:
            environ[name] = value
    for name in ("TMPDIR", "TEMP", "TMP"):
        if name not in wanted:
            environ[name] = around.temporary  # its files go when it goes
    return environ


def expanded(text: str, environ: Mapping[str, str]) -> str:
    """``$NAME`` and ``${NAME}`` by their values; what is unknown stays as it is written."""
    return _VARIABLE.sub(lambda match: environ.get(match.group(1) or match.group(2), match.group(0)), text)


def binary_environ(source: str) -> dict[str, str]:
    """What the installer ``binary`` gives to workers of the package that is unpacked in ``source``."""
    return {
        "FLAME_APP_DIR": source,
        "PATH": f"{source}/bin:{source}",
        "LD_LIBRARY_PATH": f"{source}/libs:{source}/lib",
    }
