# SPDX-License-Identifier: Apache-2.0
"""Can a port be listened on? Asked before gRPC and Flight are loaded, which say a lot about one that cannot."""

from __future__ import annotations

import errno
import socket

from flamepy.errors import FlameError, FlameErrorCode


def check_is_free(name: str, host: str, port: int) -> None:
    """name: of the option, in words. Raises FlameError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have just ended do no harm
            probe.bind((host, port))
    except OSError as error:
        why = "another program listens on it" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
        raise cannot_listen(name, host, port, why) from error


def cannot_listen(name: str, host: str, port: int, why: str) -> FlameError:
    """The error, with the option that helps."""
    option = "--" + name.replace(" ", "-")
    return FlameError(
        FlameErrorCode.INVALID_STATE,
        f"{name} {port} of {host}: {why}. Choose another with {option}; 0 takes a free one.",
    )
