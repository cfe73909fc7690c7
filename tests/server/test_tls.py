# SPDX-License-Identifier: Apache-2.0
"""Encrypted connections to the Frontend and to the object cache: who refuses whom, and what is said of it."""

from __future__ import annotations

import contextlib
import logging
import os
import socketserver
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from flamepy import ConnectionLost, FlameContext, Runner, TlsFailed, shutdown
from flamepy.cache.flight.client import FlightClient
from flamepy.config import ContextFields, FlameContextCache, FlameContextTls
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.select import HERE, target_of
from flamepy.errors import InvalidArgument, InvalidConfig
from flamepy.instance.cache_access import CacheAccess
from flamepy.server.certificates import ServerTls, read_certificates
from flamepy.server.command import settings_from
from flamepy.tls.credentials import read_credentials
from flamepy.tls.diagnosis import Validity
from flamepy.tools.cluster import is_renewal_late, look_at_cluster
from flamepy.tools.findings import Level
from tests.projects.certificates import Authority
from tests.server.running import refused_server
from tests.server.secure_servers import HOST, Made, a_cache, a_frontend, ask_cache, ask_frontend, files, list_nodes

PAST = datetime(2020, 2, 1, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(Authority(tmp_path_factory.mktemp("known")), Authority(tmp_path_factory.mktemp("other")))


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
        *others, objects = look_at_cluster(replace(context, tls=made.anyone))
    assert not any("certificate" in each.subject for each in others)  # it is good for long
    for found in (frontend, objects):
        assert found.level is Level.WRONG
        assert "this program does not know who signed its certificate" in found.seen
        assert found.cure.startswith("Name the file of that authority in tls.ca_file")
    assert objects.subject == "object cache"


def test_the_doctor_says_that_a_certificate_is_about_to_expire(made: Made, tmp_path: Path) -> None:
    soon = made.known.issue(ends=datetime.now(timezone.utc) + timedelta(days=3, hours=12))
    with a_frontend(files(soon)) as port, a_cache(files(soon), tmp_path) as cache_port:
        cache = FlameContextCache(f"grpcs://{HOST}:{cache_port}", made.anyone)
        context = ContextFields(endpoint=f"https://{HOST}:{port}", tls=made.anyone, cache=cache)
        told = {each.subject: each for each in look_at_cluster(context)}
    for subject in ("certificate", "certificate of the object cache"):
        assert told[subject].level is Level.NOTE
        assert told[subject].seen.startswith("it expires on 2")
        assert told[subject].cure.startswith("Have it renewed there")


@pytest.mark.parametrize(
    ("lives", "left", "is_late"), [(24, 9, False), (24, 3, True), (9000, 400, False), (9000, 300, True)]
)
def test_that_is_said_when_renewal_should_have_been_done(lives: int, left: int, is_late: bool) -> None:
    now = datetime.now(timezone.utc)
    ends = now + timedelta(hours=left)
    assert is_renewal_late(Validity(ends - timedelta(hours=lives), ends), now) is is_late


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


def test_what_a_worker_is_refused_for_is_said_at_once_with_what_the_cluster_has_to_change(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_cache(files(made.known.issue()), tmp_path) as port:
        for trusted, kind, message in (
            (
                made.other.ca_file,
                TlsFailed,
                r"the worker on .* does not know who signed .*: it trusts .*other.*\. Put .* cluster\.tls\.ca_file of",
            ),
            (
                str(tmp_path / "none"),
                InvalidConfig,
                r"the worker on .* cannot use what its environment names for TLS: cannot read .*none, .*: No such file",
            ),
        ):
            monkeypatch.setenv("FLAME_CA_FILE", trusted)
            with pytest.raises(kind, match=message):
                CacheAccess(f"grpcs://{HOST}:{port}", "app/session").count("workers")
        monkeypatch.setenv("FLAME_CA_FILE", made.known.ca_file)
        assert CacheAccess(f"grpcs://{HOST}:{port}", "app/session").count("workers") == 1


class WebServer(socketserver.BaseRequestHandler):
    """One that speaks TLS, and no HTTP/2."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self.request.do_handshake()
            self.request.recv(1)


def test_a_server_or_a_proxy_without_http_2_is_said_to_be_one(made: Made) -> None:
    shown = made.known.issue()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(shown.cert_file), shown.key_file)
    with socketserver.ThreadingTCPServer((HOST, 0), WebServer) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            address = f"{HOST}:{server.server_address[1]}"
            for ask in (
                lambda: ask_frontend(f"https://{address}", shown),
                lambda: ask_cache(f"grpcs://{address}", shown),
            ):
                with pytest.raises(
                    TlsFailed, match=r"it speaks TLS, but not HTTP/2\. Correct the address, or have the"
                ):
                    ask()
        finally:
            server.shutdown()
            thread.join()


def test_a_certificate_that_was_renewed_is_shown_when_the_connection_is_made_again(made: Made, tmp_path: Path) -> None:
    shown = made.known.issue()
    old, new = made.known.issue("client.example"), made.other.issue("client.example")
    names = ("ca.pem", "client.pem", "client.key")
    mine = FlameContextTls(*(str(tmp_path / name) for name in names))

    def write(tls: FlameContextTls) -> None:
        for name, file in zip(names, (made.known.ca_file, tls.cert_file, tls.key_file), strict=True):
            (tmp_path / name).write_bytes(Path(str(file)).read_bytes())

    write(old)
    with a_frontend(files(shown, made.known.ca_file)) as port:
        connection = Connection(f"https://{HOST}:{port}", tls=mine)
        try:
            list_nodes(connection)
        except BaseException:
            connection.close(5)
            raise
    try:
        with a_frontend(files(shown, made.other.ca_file), port=port):
            write(new)
            list_nodes(connection, patience_s=20)
    finally:
        connection.close(5)


REFUSED = """
import sys
from flamepy import FlameContext, FlameError, Runner
from flamepy.config import FlameContextTls
try:
    Runner("refused", context=FlameContext(environ={}, endpoint=sys.argv[1], tls=FlameContextTls(sys.argv[2])))
except FlameError as error:
    print(error)
"""


def test_the_library_below_does_not_write_to_the_terminal_what_the_error_says(made: Made, tmp_path: Path) -> None:
    with a_frontend(files(made.known.issue())) as port:
        command = [sys.executable, "-c", REFUSED, f"https://{HOST}:{port}", made.other.ca_file]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False)
    assert "does not know who signed its certificate" in ended.stdout
    assert not ended.stderr


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
    # who corrects what is trusted at the cache needs no new program
    assert target_of(one) != target_of(replace(one, cache=FlameContextCache(tls=FlameContextTls("ca"))))
    assert target_of(ContextFields(tls=one.tls)) == HERE
