# SPDX-License-Identifier: Apache-2.0
"""Encrypted connections to the Frontend and to the object cache: who refuses whom, and what is said of it."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import grpc
import pytest

from flamepy import ConnectionLost, FlameContext, Runner, TlsFailed, shutdown
from flamepy.cache.flight.client import FlightClient
from flamepy.config import ContextFields, FlameContextCache, FlameContextTls
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.select import HERE, target_of
from flamepy.errors import InvalidArgument, InvalidConfig
from flamepy.instance.cache_access import CacheAccess
from flamepy.server.certificates import ServerCertificates, ServerTls, read_certificates
from flamepy.server.command import settings_from
from flamepy.server.objects.flight_server import ObjectFlightServer
from flamepy.server.objects.object_table import ObjectTable
from flamepy.server.objects.payload_memory import PayloadMemory
from flamepy.tls.credentials import read_credentials
from flamepy.tools.cluster import look_at_cluster
from flamepy.tools.findings import Level
from flamepy.wire import messages
from tests.projects.certificates import Authority
from tests.server.running import refused_server

HOST = "127.0.0.1"
PAST = datetime(2020, 2, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Made:
    """What the tests of this file show and trust."""

    known: Authority
    other: Authority

    @property
    def anyone(self) -> FlameContextTls:
        """A client that trusts the known authority and shows nothing."""
        return FlameContextTls(self.known.ca_file)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(Authority(tmp_path_factory.mktemp("known")), Authority(tmp_path_factory.mktemp("other")))


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
def a_frontend(tls: ServerTls | None) -> Iterator[int]:
    server = grpc.server(ThreadPoolExecutor(1))
    server.add_generic_rpc_handlers((Nodes(),))
    if tls is None:
        port = server.add_insecure_port(f"{HOST}:0")
    else:
        ours = certificates(tls)
        shown = grpc.ssl_server_credentials(
            [(ours.key, ours.certificate)], ours.client_authority, ours.client_authority is not None
        )
        port = server.add_secure_port(f"{HOST}:0", shown)
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
        connection.ask(connection.call("ListNodes", messages.ListNodesRequest(), patience_s=0))
    finally:
        connection.close(5)


def ask_cache(endpoint: str, tls: FlameContextTls | None) -> None:
    client = FlightClient(endpoint, tls=tls)
    try:
        client.delete("app/session")
    finally:
        client.close()


# server's certificate; who signs for clients; what the client has; does it speak TLS; what it is told
Row = tuple[Callable[[Made], ServerTls | None], Callable[[Made], FlameContextTls], bool, str]
ROWS: dict[str, Row] = {
    "authority": (
        lambda made: files(made.known.issue()),
        lambda made: FlameContextTls(made.other.ca_file),
        True,
        r"this program does not know who signed its certificate \(.*\): it trusts .*other.*pem\. Name .*tls\.ca_file",
    ),
    "name": (
        lambda made: files(made.known.issue("elsewhere.example")),
        lambda made: made.anyone,
        True,
        r"its certificate is for elsewhere\.example, not for 127\.0\.0\.1\. Write a name .* in tls\.server_name",
    ),
    "expired": (
        lambda made: files(made.known.issue("127.0.0.2", ends=PAST)),
        lambda made: replace(made.anyone, server_name="127.0.0.2"),
        True,
        r"its certificate has expired\. Have it renewed there",
    ),
    "no client certificate": (
        lambda made: files(made.known.issue(), made.known.ca_file),
        lambda made: made.anyone,
        True,
        r"it wants a certificate of this program, and gets none\. Name one .* FLAME_CERT_FILE and FLAME_KEY_FILE",
    ),
    "foreign client certificate": (
        lambda made: files(made.known.issue(), made.known.ca_file),
        lambda made: replace(made.other.issue("client.example"), ca_file=made.known.ca_file),
        True,
        r"it does not take the certificate of this program, which is that in .*client\.example\.pem\. Name one",
    ),
    "only it speaks TLS": (
        lambda made: files(made.known.issue()),
        lambda made: made.anyone,
        False,
        r"it speaks TLS\. Write (https|grpcs)://",
    ),
    "only this side speaks TLS": (
        lambda made: None,
        lambda made: made.anyone,
        True,
        r"it does not speak TLS\. Write (http|grpc)://",
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_what_one_side_refuses_is_said_at_once_with_the_cure(made: Made, tmp_path: Path, row: str) -> None:
    server, client, is_secure, message = ROWS[row]
    with a_frontend(server(made)) as port, pytest.raises(TlsFailed, match=message) as refused:
        ask_frontend(f"{'https' if is_secure else 'http'}://{HOST}:{port}", client(made))
    assert "\n" not in str(refused.value)
    with a_cache(server(made), tmp_path) as port, pytest.raises(TlsFailed, match=message):
        ask_cache(f"{'grpcs' if is_secure else 'grpc'}://{HOST}:{port}", client(made))


def test_a_name_of_the_certificate_may_be_told_and_the_server_alone_be_trusted(made: Made, tmp_path: Path) -> None:
    shown = made.known.issue("elsewhere.example")
    trusting = FlameContextTls(ca_file=shown.cert_file, server_name="elsewhere.example")
    with a_frontend(files(shown)) as port:
        ask_frontend(f"https://{HOST}:{port}", trusting)
    with a_cache(files(shown), tmp_path) as port:
        ask_cache(f"grpcs://{HOST}:{port}", trusting)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_where_nobody_listens_certificates_are_not_blamed(made: Made, scheme: str) -> None:
    with pytest.raises(ConnectionLost, match="Connection refused") as lost:
        ask_frontend(f"{scheme}://{HOST}:1", made.anyone)
    assert not isinstance(lost.value, TlsFailed)


def test_the_doctor_says_which_of_both_connections_is_refused_and_why(made: Made, tmp_path: Path) -> None:
    stranger = FlameContextTls(made.other.ca_file)
    with a_frontend(files(made.known.issue())) as port, a_cache(files(made.known.issue()), tmp_path) as cache_port:
        cache = FlameContextCache(f"grpcs://{HOST}:{cache_port}", stranger)
        context = ContextFields(endpoint=f"https://{HOST}:{port}", tls=stranger, cache=cache)
        (frontend,) = look_at_cluster(context)
        *_, objects = look_at_cluster(replace(context, tls=made.anyone))
    for found in (frontend, objects):
        assert found.level is Level.WRONG
        assert "this program does not know who signed its certificate" in found.seen
        assert found.cure.startswith("Name the file of that authority in tls.ca_file")
    assert objects.subject == "object cache"


def broken(directory: Path, made: Made) -> dict[str, tuple[FlameContextTls, str]]:
    good, locked = made.known.issue(), directory / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
    other = made.other.issue()
    return {
        "no authority": (FlameContextTls(str(directory / "none")), "cannot read .*none, .*: No such file or directory"),
        "a key": (FlameContextTls(good.key_file), "holds no certificate in PEM format"),
        "mismatch": (replace(good, key_file=other.key_file), "does not belong to the certificate in"),
        "locked": (replace(good, key_file=str(locked)), "has a password: write a copy without one"),
        "exchanged": (FlameContextTls(None, good.key_file, good.cert_file), "are no certificate and its private key"),
    }


@pytest.mark.parametrize("fault", ["no authority", "a key", "mismatch", "locked", "exchanged"])
def test_files_that_cannot_be_used_are_named_before_anything_is_connected(
    made: Made, tmp_path: Path, fault: str
) -> None:
    tls, message = broken(tmp_path, made)[fault]
    with pytest.raises(InvalidConfig, match=message):
        Connection("https://nowhere.example", tls=tls)
    with pytest.raises(InvalidConfig, match=message):
        FlightClient("grpcs://nowhere.example", tls=tls).has("app/session/object")
    Connection("http://nowhere.example", tls=tls).close(5)  # which needs none of them


def test_a_server_does_not_start_with_certificates_that_would_be_refused(made: Made) -> None:
    good = made.known.issue()
    for tls, workers, message in (
        (
            files(made.known.issue("elsewhere.example")),
            FlameContextTls(),
            r"mismatch.*Renew it, or have .* for 127\.0\.0\.1; ",
        ),
        (files(made.known.issue(HOST, ends=PAST)), FlameContextTls(), "certificate has expired"),
        (files(good, made.other.ca_file), FlameContextTls(), "refuse its own workers: by .*other.*Set FLAME_CERT_FILE"),
    ):
        with pytest.raises(InvalidConfig, match=message):
            read_certificates(tls, host=HOST, workers=workers)
    # certificates of one authority for servers, and of another for clients and workers
    separate = read_certificates(files(good, made.other.ca_file), host=HOST, workers=made.other.issue("worker.example"))
    assert separate.workers.ca_file == good.cert_file
    assert str(separate.workers.cert_file).endswith("worker.example.pem")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--tls-cert", "a.pem"), "--tls-key is missing: a certificate is shown with its key"),
        (("--tls-client-ca", "a.pem"), "--tls-client-ca needs a server with TLS"),
        (("--host", "0.0.0.0"), "let only those in who have a certificate of --tls-client-ca, or add --allow-remote"),
    ],
)
def test_options_that_do_not_go_together_are_refused(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        settings_from(given)


def test_whoever_has_a_certificate_may_come_from_anywhere() -> None:
    pair = ("--tls-cert", "a.pem", "--tls-key", "a.key", "--tls-client-ca", "ca.pem")
    settings = settings_from(("--host", "0.0.0.0", "--advertise", "flame.example", *pair))
    assert (settings.advertised_name, settings.tls) == ("flame.example", ServerTls("a.pem", "a.key", "ca.pem"))


def test_a_file_that_is_not_there_is_one_line_of_the_server() -> None:
    ended = refused_server("--tls-cert", "nowhere.pem", "--tls-key", "nowhere.key")
    assert ended.code == 1
    assert ended.said.startswith("flamepy serve: cannot read ")
    assert ended.said.count("\n") == 1


def test_a_worker_that_does_not_know_the_cache_says_so_at_once(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_cache(files(made.known.issue()), tmp_path) as port:
        monkeypatch.setenv("FLAME_CA_FILE", made.other.ca_file)
        with pytest.raises(TlsFailed, match=r"the worker on .* does not know who signed its certificate"):
            CacheAccess(f"grpcs://{HOST}:{port}", "app/session").count("workers")
        monkeypatch.setenv("FLAME_CA_FILE", made.known.ca_file)
        assert CacheAccess(f"grpcs://{HOST}:{port}", "app/session").count("workers") == 1


def seen_by_a_call(value: bytes) -> tuple[list[str], dict[str, str], bytes]:
    return sorted(os.listdir()), dict(os.environ), value


def test_a_key_stays_where_it_is_and_is_shown_nowhere(
    tls_cluster: ContextFields, project: Path, nothing_is_left: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert tls_cluster.tls is not None
    assert tls_cluster.tls.key_file is not None
    key = Path(tls_cluster.tls.key_file).read_text()
    (project / "client.key").write_text(key)
    tls = replace(tls_cluster.tls, key_file=str(project / "client.key"))
    cache = FlameContextCache(tls_cluster.cache_endpoint, tls)
    context = FlameContext(environ={}, endpoint=tls_cluster.endpoint, tls=tls, cache=cache)
    with Runner("private", context=context, includes=["*"]) as runner:
        listed, environ, value = runner.service(seen_by_a_call)(bytes(1 << 20)).get()
        # what a notebook prints, and keeps
        shown = [repr(context), repr(runner), repr(runner.cluster()), repr(list(look_at_cluster(context)))]
        shown.append(repr(read_credentials(tls)))
    assert len(value) == 1 << 20
    assert environ["FLAME_CACHE_ENDPOINT"].startswith("grpcs://")
    assert "client.key" not in listed
    secret = key.splitlines()[1]
    shutdown()
    for told in (*shown, str(environ), caplog.text):
        assert secret not in told
    assert caplog.text


def test_an_engine_is_shared_by_those_that_show_the_same_certificate() -> None:
    one = ContextFields(endpoint="https://host", tls=FlameContextTls("ca", "one.pem", "one.key"))
    assert target_of(one) == target_of(replace(one, name="again"))
    assert target_of(one) != target_of(replace(one, tls=FlameContextTls("ca", "two.pem", "two.key")))
    assert target_of(ContextFields(tls=one.tls)) == HERE
