# SPDX-License-Identifier: Apache-2.0
"""Certificates and keys, read from their files."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field

from flamepy.config import FlameContextTls
from flamepy.errors import InvalidConfig


@dataclass(frozen=True)
class TlsCredentials:
    """All in PEM format. authority: certificates to trust, None = those that the library brings along.

    certificate, key: of this side; both or neither.
    """

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)


def read_credentials(tls: FlameContextTls | None) -> TlsCredentials:
    """Read anew for each connection: certificates are replaced before they expire. Raises InvalidConfig."""
    tls = tls or FlameContextTls()
    file = authority_file(tls.ca_file)
    authority = None if file is None else read_authority(file)
    if tls.cert_file is None or tls.key_file is None:
        return TlsCredentials(authority)
    return TlsCredentials(authority, *read_pair(tls.cert_file, tls.key_file))


def read_pair(cert_file: str, key_file: str) -> tuple[bytes, bytes]:
    """The certificate and its key. Raises InvalidConfig, also when they do not belong together."""
    certificate, key = _read(cert_file, "certificate"), _read(key_file, "private key")
    if b"ENCRYPTED" in key:  # the libraries would ask for it on the terminal
        raise InvalidConfig(
            f"the private key in {key_file} has a password: write a copy without one, with "
            "'openssl pkey -in FILE -out COPY', that you alone can read."
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(cert_file, key_file)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"the private key in {key_file} does not belong to the certificate in {cert_file}"
        else:
            why = f"{cert_file} and {key_file} are no certificate and its private key in PEM format"
        raise InvalidConfig(f"{why}. Name the two files that were made together.") from error
    return certificate, key


def authority_file(ca_file: str | None) -> str | None:
    """Where the certificates to trust are: what is named, else those of the system (or in SSL_CERT_FILE)."""
    return ca_file or ssl.get_default_verify_paths().cafile


def read_authority(ca_file: str) -> bytes:
    """Raises InvalidConfig."""
    authority = _read(ca_file, "certificates to trust")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(ca_file)
    except ssl.SSLError as error:
        raise InvalidConfig(f"{ca_file} holds no certificate in PEM format. Name the file of the authority.") from error
    return authority


def _read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InvalidConfig(
            f"cannot read {path}, named for the {what}: {error.strerror}. Correct the path, or make it readable."
        ) from error
