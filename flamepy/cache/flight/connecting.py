# SPDX-License-Identifier: Apache-2.0
"""How the object cache at an address is connected to."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pyarrow import flight

from flamepy.config import FlameContextTls
from flamepy.core.addresses import in_url
from flamepy.errors import InvalidArgument
from flamepy.tls.credentials import read_credentials
from flamepy.tls.diagnosis import is_secure

DEFAULT_PORT = 9090
_SCHEMES = {"grpc": "grpc", "http": "grpc", "grpcs": "grpc+tls", "https": "grpc+tls", "grpc+tls": "grpc+tls"}
_UNLIMITED = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]


def location_of(endpoint: str) -> str:
    """As Flight writes addresses. Raises InvalidArgument."""
    parts = urlsplit(endpoint)
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InvalidArgument(f"{endpoint!r} is no address of an object cache: write it as grpc://host:9090.")
    return f"{_SCHEMES[parts.scheme]}://{in_url(parts.hostname)}:{parts.port or DEFAULT_PORT}"


def connected(endpoint: str, tls: FlameContextTls | None) -> flight.FlightClient:
    """It connects when it is first asked for something. Raises InvalidArgument, InvalidConfig."""
    options: dict[str, Any] = {}
    if is_secure(endpoint):
        ours = read_credentials(tls)
        given = {
            "tls_root_certs": ours.authority,
            "cert_chain": ours.certificate,
            "private_key": ours.key,
            "override_hostname": None if tls is None else tls.server_name,
        }
        options = {name: value for name, value in given.items() if value is not None}
    return flight.FlightClient(location_of(endpoint), generic_options=_UNLIMITED, **options)
