# SPDX-License-Identifier: Apache-2.0
"""A Frontend and an object cache with certificates, in this process, and one request to each of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc

from flamepy.cache.flight.client import FlightClient
from flamepy.config import FlameContextTls
from flamepy.engine.cluster.connection import Connection
from flamepy.server.certificates import ServerCertificates, ServerTls
from flamepy.server.objects.flight_server import ObjectFlightServer
from flamepy.server.objects.object_table import ObjectTable
from flamepy.server.objects.payload_memory import PayloadMemory
from flamepy.wire import messages
from tests.projects.certificates import Authority

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Made:
    """What the tests of this file show and trust."""

    known: Authority
    other: Authority

    @property
    def anyone(self) -> FlameContextTls:
        """A client that trusts the known authority and shows nothing."""
        return FlameContextTls(self.known.ca_file)


def files(tls: FlameContextTls, client_ca_file: str | None = None) -> ServerTls:
    return ServerTls(str(tls.cert_file), str(tls.key_file), client_ca_file)


def certificates(tls: ServerTls) -> ServerCertificates:
    """As they are read, also where no client would take them."""
    authority = None if tls.client_ca_file is None else Path(tls.client_ca_file).read_bytes()
    key = Path(tls.key_file).read_bytes()
    return ServerCertificates(Path(tls.cert_file).read_bytes(), key, authority, FlameContextTls())


class Nodes(grpc.GenericRpcHandler):
    """A Frontend that lists no nodes."""

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return grpc.unary_unary_rpc_method_handler(lambda request, _: messages.NodeList().SerializeToString())


@contextlib.contextmanager
def a_frontend(tls: ServerTls | None, *, port: int = 0) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Nodes(),))
    if tls is None:
        port = server.add_insecure_port(f"{HOST}:{port}")
    else:
        ours = certificates(tls)
        shown = grpc.ssl_server_credentials(
            [(ours.key, ours.certificate)], ours.client_authority, ours.client_authority is not None
        )
        port = server.add_secure_port(f"{HOST}:{port}", shown)
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()


@contextlib.contextmanager
def a_cache(tls: ServerTls | None, directory: Path) -> Iterator[int]:
    objects = ObjectTable(PayloadMemory(1 << 20, directory))
    shown = None if tls is None else certificates(tls)
    server = ObjectFlightServer(objects, host=HOST, port=0, advertised_host=HOST, certificates=shown)
    try:
        yield server.port
    finally:
        server.shutdown()


def ask_frontend(endpoint: str, tls: FlameContextTls | None) -> None:
    connection = Connection(endpoint, tls=tls)
    try:
        list_nodes(connection)
    finally:
        connection.close(5)


def list_nodes(connection: Connection, patience_s: float = 0) -> None:
    connection.ask(connection.call("ListNodes", messages.ListNodesRequest(), patience_s=patience_s))


def ask_cache(endpoint: str, tls: FlameContextTls | None) -> None:
    client = FlightClient(endpoint, tls=tls)
    try:
        client.delete("app/session")
    finally:
        client.close()
