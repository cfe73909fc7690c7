# SPDX-License-Identifier: Apache-2.0
"""How the travelling worker connects to the cluster's object cache."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from flamepy.cache.flight.client import FlightClient
from flamepy.config import tls_of_environment
from flamepy.errors import InvalidConfig
from flamepy.tls.credentials import read_credentials
from flamepy.tls.diagnosis import Side, is_secure


def connect_to_cache(endpoint: str, environ: Mapping[str, str]) -> FlightClient:
    """environ: says whom to trust there, and what to show. An executor of a cluster sets FLAME_CA_FILE in it.

    Raises InvalidConfig.
    """
    side = _worker_on(socket.gethostname())
    try:
        tls = tls_of_environment(environ)
        if is_secure(endpoint):
            read_credentials(tls)  # what is wrong with its files is said now, and of this node
    except InvalidConfig as error:
        raise InvalidConfig(f"{side.name} cannot use what its environment names for TLS: {error}") from error
    return FlightClient(endpoint, tls=tls, side=side)


def _worker_on(node: str) -> Side:
    """With cures for those who run the cluster: what the user's own program trusts and shows does not get here."""
    return Side(
        f"the worker on {node}",
        to_trust=(
            "Put the certificate of that authority into the file that cluster.tls.ca_file of the cluster's own "
            "configuration names: workers have it as FLAME_CA_FILE."
        ),
        to_show=(
            "Start the executor manager of that node with FLAME_CERT_FILE and FLAME_KEY_FILE in its environment, which "
            "workers inherit."
        ),
        to_name=(
            "Have one made for that name, or write a name that it has in cache.endpoint of the cluster's own "
            "configuration."
        ),
    )
