# SPDX-License-Identifier: Apache-2.0
"""Why an encrypted connection does not come about: gRPC says little of it, and the same for different reasons.

So the connection is tried once more, with the standard library, whose errors tell more.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

from flamepy.config import FlameContextTls
from flamepy.tls.credentials import authority_file

_LIMIT_S = 1.0  # for each step: what does not answer in that time has other reasons than this
# What a client of HTTP/2 begins with: a server answers it at once, when it lets the client in.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_HTTP2 = "h2"  # as TLS calls it
_NO_HTTP2 = (
    "it speaks TLS, but not HTTP/2. Correct the address, or have the proxy there pass gRPC on: another program answers."
)
_SECURE = ("https", "grpcs", "grpc+tls")
_PLAIN_OF = {"https": "http", "grpcs": "grpc", "grpc+tls": "grpc"}
_SECURE_OF = {"http": "https", "grpc": "grpcs"}
_ALERTS = ("ALERT_CERTIFICATE", "ALERT_UNKNOWN_CA", "ALERT_BAD_CERTIFICATE", "ALERT_UNSUPPORTED_CERTIFICATE")
_NOT_YET, _EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 9, 10, 62, 64  # as OpenSSL counts reasons


@dataclass(frozen=True)
class Side:
    """The end of a connection that looks for what is wrong. name: what messages call it.

    to_trust, to_show, to_name: sentences that say how it gets to know an authority, gets a certificate to show, and
    looks for another name.
    """

    name: str
    to_trust: str
    to_show: str
    to_name: str


THIS_PROGRAM = Side(
    "this program",
    to_trust="Name the file of that authority in tls.ca_file, or in FLAME_CA_FILE.",
    to_show=(
        "Name one that it trusts in tls.cert_file, with its key in tls.key_file, or in FLAME_CERT_FILE and "
        "FLAME_KEY_FILE."
    ),
    to_name="Write a name that it has in the address, or, where you know that it is the right one, in tls.server_name.",
)


@dataclass(frozen=True)
class _Server:
    """host, port: where it is; scheme: of the address that was given for it; side: ours."""

    host: str
    port: int
    scheme: str
    tls: FlameContextTls
    side: Side

    @property
    def name(self) -> str:
        return self.tls.server_name or self.host


def _server_at(endpoint: str, tls: FlameContextTls | None, default_port: int, side: Side) -> _Server:
    parts = urlsplit(endpoint)
    return _Server(parts.hostname or "", parts.port or default_port, parts.scheme, tls or FlameContextTls(), side)


def is_secure(endpoint: str) -> bool:
    return urlsplit(endpoint).scheme in _SECURE


def why_refused(
    endpoint: str, tls: FlameContextTls | None, *, default_port: int, side: Side = THIS_PROGRAM
) -> str | None:
    """What one side refuses of the other, with the cure; None when that is not what keeps them apart."""
    server = _server_at(endpoint, tls, default_port, side)
    try:
        return _why_not_secure(server) if is_secure(endpoint) else _why_not_plain(server)
    except OSError:
        return None


@dataclass(frozen=True)
class Validity:
    """Of a certificate."""

    begins: datetime
    ends: datetime


def validity_of(endpoint: str, tls: FlameContextTls | None, *, default_port: int) -> Validity | None:
    """Of the certificate of the server; None = it has none, or shows none to us."""
    server = _server_at(endpoint, tls, default_port, THIS_PROGRAM)
    try:
        told = _told_by(server, _context(server.tls)) if is_secure(endpoint) else {}
    except OSError:
        return None
    return Validity(_time_in(told["notBefore"]), _time_in(told["notAfter"])) if told else None


def _why_not_secure(server: _Server) -> str | None:
    context = _context(server.tls)
    try:
        has_http2, greeting = _greeted(server, context)
    except ssl.SSLCertVerificationError as error:
        return _why_distrusted(server, error)
    except ssl.SSLError as error:
        if error.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            return f"it does not speak TLS. Write {_PLAIN_OF[server.scheme]}:// in the address, or start it with TLS."
        if "NO_APPLICATION_PROTOCOL" in (error.reason or ""):
            return _NO_HTTP2
        return _why_shut_out(server) if any(each in (error.reason or "") for each in _ALERTS) else None
    if not has_http2:
        return _NO_HTTP2
    if greeting:
        return None
    # Servers that want another client end the connection without a word. One that was just being ended does so, too.
    return _why_shut_out(server) if not _greeted(server, context)[1] else None


def _why_shut_out(server: _Server) -> str:
    if server.tls.cert_file is None:
        return f"it wants a certificate of {server.side.name}, and gets none. {server.side.to_show}"
    return (
        f"it does not take the certificate of {server.side.name}, which is that in {server.tls.cert_file}. Name one of "
        "the authority that it trusts, that has not expired, and may be used by clients."
    )


def _why_distrusted(server: _Server, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired. Have it renewed there, or see whether the clock here is right."
    if error.verify_code == _NOT_YET:
        return "its certificate is not valid yet. See whether the clocks of both sides are right."
    if error.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
        return f"its certificate is for {_names_of(server)}, not for {server.name}. {server.side.to_name}"
    trusted = server.tls.ca_file or "the authorities of the system"
    return (
        f"{server.side.name} does not know who signed its certificate ({error.verify_message}): it trusts {trusted}. "
        f"{server.side.to_trust}"
    )


def _names_of(server: _Server) -> str:
    context = _context(server.tls)
    context.check_hostname = False
    try:
        told = _told_by(server, context)
    except OSError:
        return "another name"
    names = [str(pair[1]) for pair in told.get("subjectAltName", ())]
    return ", ".join(names) or "no name"


def _time_in(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), timezone.utc)


def _told_by(server: _Server, context: ssl.SSLContext) -> Mapping[str, Any]:
    """What stands in its certificate. Raises OSError."""
    with _connected(server) as plain, context.wrap_socket(plain, server_hostname=server.name) as connection:
        return connection.getpeercert() or {}


def _why_not_plain(server: _Server) -> str | None:
    with _connected(server) as connection:
        connection.sendall(_GREETING)
        try:
            if b"\0\0" in connection.recv(3):  # the length of a first frame; TLS answers with an alert, or not at all
                return None
        except TimeoutError:
            return None
        except OSError:
            pass
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nothing is said to it: does it speak TLS?
        with _connected(server) as plain, context.wrap_socket(plain, server_hostname=server.host):
            pass
    except OSError:
        return None
    return f"it speaks TLS. Write {_SECURE_OF[server.scheme]}:// in the address."


def _greeted(server: _Server, context: ssl.SSLContext) -> tuple[bool, bool]:
    """Has it chosen HTTP/2, and does it let us in? Raises OSError, of which ssl.SSLError is one."""
    with _connected(server) as plain, context.wrap_socket(plain, server_hostname=server.name) as connection:
        if connection.selected_alpn_protocol() != _HTTP2:
            return False, False
        try:
            connection.sendall(_GREETING)
            return True, bool(connection.recv(1))
        except (ConnectionError, ssl.SSLEOFError):
            return True, False


def _connected(server: _Server) -> socket.socket:
    return socket.create_connection((server.host, server.port), _LIMIT_S)


def _context(tls: FlameContextTls) -> ssl.SSLContext:
    """As gRPC does it, so that what this says is what gRPC has met."""
    context = ssl.create_default_context(cafile=authority_file(tls.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # also a server's own certificate can be trusted
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols([_HTTP2])
    if tls.cert_file is not None:
        context.load_cert_chain(tls.cert_file, tls.key_file)
    return context
