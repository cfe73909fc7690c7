# SPDX-License-Identifier: Apache-2.0
"""The certificates of a server: read when it starts, and tried before any client does."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path

from flamepy.config import FlameContextTls
from flamepy.errors import InvalidConfig
from flamepy.tls.credentials import read_authority, read_pair


@dataclass(frozen=True)
class ServerTls:
    """Files. cert_file, key_file: of the server; client_ca_file: who signs for clients, None = anyone may come."""

    cert_file: str
    key_file: str
    client_ca_file: str | None = None


@dataclass(frozen=True)
class ServerCertificates:
    """What the files hold, in PEM format. workers: what our workers trust and show, when they come for objects."""

    certificate: bytes
    key: bytes = field(repr=False)
    client_authority: bytes | None
    workers: FlameContextTls


def read_certificates(tls: ServerTls, *, host: str, workers: FlameContextTls) -> ServerCertificates:
    """host: what clients and workers call this server. workers: the certificate that workers shall show, if any.

    Raises InvalidConfig for what clients, or our own workers, would refuse.
    """
    cert_file, key_file = (str(Path(each).absolute()) for each in (tls.cert_file, tls.key_file))
    certificate, key = read_pair(cert_file, key_file)
    client_authority = None if tls.client_ca_file is None else read_authority(tls.client_ca_file)
    # whoever has been given the certificate itself needs no authority above it
    shown = FlameContextTls(cert_file)
    if tls.client_ca_file is not None:
        pair = (workers.cert_file, workers.key_file) if workers.cert_file else (cert_file, key_file)
        shown = FlameContextTls(cert_file, *pair)
    _try_out(tls, shown, host)
    return ServerCertificates(certificate, key, client_authority, shown)


def _try_out(tls: ServerTls, shown: FlameContextTls, host: str) -> None:
    """Shake hands in memory, as one of our workers with us. Raises InvalidConfig."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(tls.cert_file, tls.key_file)
    theirs = ssl.create_default_context(cafile=shown.ca_file)
    theirs.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    theirs.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if tls.client_ca_file is not None:
        ours.verify_mode = ssl.CERT_REQUIRED
        ours.load_verify_locations(tls.client_ca_file)
        ours.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        assert shown.cert_file is not None, "where clients show one, workers do"
        theirs.load_cert_chain(shown.cert_file, shown.key_file)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = theirs.wrap_bio(down, up, server_hostname=host)
    server = ours.wrap_bio(up, down, server_side=True)
    try:
        _step(client)
        _step(server)
        _step(client)
    except ssl.SSLError as error:
        raise InvalidConfig(
            f"clients would refuse the certificate in {tls.cert_file}: {_reason_of(error)}. Renew it, or have one made "
            f"for {host}; --advertise says what clients call this server, where that is another name."
        ) from error
    try:
        _step(server)
    except ssl.SSLError as error:
        raise InvalidConfig(
            f"this server would refuse its own workers: by {tls.client_ca_file}, which says who may come, the "
            f"certificate in {shown.cert_file} is not good ({_reason_of(error)}). Set FLAME_CERT_FILE and "
            "FLAME_KEY_FILE to one that is, for its workers."
        ) from error


def _reason_of(error: ssl.SSLError) -> str:
    reason = error.verify_message if isinstance(error, ssl.SSLCertVerificationError) else error.reason
    return (reason or str(error)).rstrip(".")


def _step(side: ssl.SSLObject) -> None:
    """As far as it gets with what the other side has said."""
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return
