# SPDX-License-Identifier: Apache-2.0
"""Certificates in files, made for a test."""

from __future__ import annotations

import itertools
from datetime import datetime, timezone
from pathlib import Path

import trustme

from flamepy.config import FlameContextTls


class Authority:
    """One that signs. ``ca_file`` has its certificate."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._authority = trustme.CA()
        self._numbers = itertools.count(1)
        self.ca_file = str(directory / "ca.pem")
        self._authority.cert_pem.write_to_path(self.ca_file)

    def issue(self, name: str = "127.0.0.1", *, ends: datetime | None = None) -> FlameContextTls:
        """The files of a certificate for a host, for servers and clients, and those of this authority."""
        begins = datetime(2020, 1, 1, tzinfo=timezone.utc) if ends else None
        made = self._authority.issue_cert(name, not_before=begins, not_after=ends)
        stem = f"{next(self._numbers)}-{name}"
        cert_file, key_file = self._directory / f"{stem}.pem", self._directory / f"{stem}.key"
        cert_file.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(key_file))
        return FlameContextTls(self.ca_file, str(cert_file), str(key_file))
