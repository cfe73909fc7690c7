# SPDX-License-Identifier: Apache-2.0
"""``%flame_runner contexts`` and ``use``: the contexts of ``flame.yaml``, and which of them answer."""

from __future__ import annotations

import html
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from flame_jupyter.tables import table_html, table_text

if TYPE_CHECKING:
    from flamepy import FlameContext

PROBE_S = 1.0  # all endpoints are asked at one time; one that takes longer to accept a connection is of no use
_COLUMNS = ("", "context", "kind", "endpoint", "reachable")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class ContextRow:
    """is_chosen: new Runners use it; is_reachable: None = nothing to reach, it runs here."""

    name: str
    endpoint: str | None
    is_chosen: bool
    is_reachable: bool | None = None

    def cells(self) -> tuple[str, ...]:
        kind = "embedded" if self.endpoint is None else "cluster"
        reachable = {None: "runs here", True: "yes", False: "no"}[self.is_reachable]
        return ("*" if self.is_chosen else "", self.name, kind, self.endpoint or "", reachable)


@dataclass(frozen=True)
class ContextTable:
    """source: the file, None when there is none."""

    rows: tuple[ContextRow, ...]
    source: str | None

    def __repr__(self) -> str:
        if self.source is None:
            return "Flame: no configuration file, so calls run on the embedded engine. ~/.flame/flame.yaml adds more."
        return "\n".join([f"Contexts of {self.source} (* = new Runners use it)", *table_text(_COLUMNS, self._cells())])

    def _repr_html_(self) -> str:
        if self.source is None:
            return f"<p>{html.escape(repr(self))}</p>"
        title = html.escape(f"Contexts of {self.source} (* = new Runners use it)")
        return f"<p>{title}</p>{table_html(_COLUMNS, self._cells())}"

    def _cells(self) -> list[tuple[str, ...]]:
        return [each.cells() for each in self.rows]


def context_table(contexts: Sequence[FlameContext], chosen: str | None) -> ContextTable:
    """Ask every endpoint whether it takes a connection, all at one time."""
    endpoints = {each.endpoint for each in contexts if each.endpoint is not None}
    answers = reachable(endpoints)
    rows = [
        ContextRow(each.name or "", each.endpoint, each.name == chosen, answers.get(each.endpoint or ""))
        for each in contexts
    ]
    return ContextTable(tuple(rows), contexts[0].source if contexts else None)


def reachable(endpoints: set[str], timeout_s: float = PROBE_S) -> dict[str, bool]:
    """Which of these URLs accept a connection within ``timeout_s``."""
    answers = dict.fromkeys(endpoints, False)

    def probe(endpoint: str) -> None:
        parts = urlsplit(endpoint)
        try:
            address = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 80))
            with socket.create_connection(address, timeout=timeout_s):
                answers[endpoint] = True
        except OSError:
            pass

    # daemons, because looking up a host's name knows no timeout
    threads = [threading.Thread(target=probe, args=(each,), daemon=True) for each in endpoints]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)
    return dict(answers)
