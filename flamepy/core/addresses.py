# SPDX-License-Identifier: Apache-2.0
"""Hosts and ports as they are written in addresses."""

from __future__ import annotations


def in_url(host: str) -> str:
    """The host as it stands before a port: one of IPv6 in brackets."""
    return f"[{host}]" if ":" in host else host
