# SPDX-License-Identifier: Apache-2.0
"""The services of a notebook as a table: a snapshot, as text and as HTML."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from flame_jupyter.tables import table_html, table_text
from flame_jupyter.wording import counted

if TYPE_CHECKING:
    from flame_jupyter.service.record import ServiceRecord
    from flamepy import SessionView
    from flamepy.runner import Runner, ServiceView

_COUNTED = ("queued", "running", "done", "failed", "cancelled")
SERVICE_COLUMNS = ("service", "kind", "session", *_COUNTED, "")


@dataclass(frozen=True)
class ServiceStatus:
    """One service. counts: calls that are queued, running, done, failed, cancelled; None before the first call.

    name: what ``--name`` has said, else that of the variable; variable: "" for services that no cell has defined.
    """

    variable: str
    name: str
    kind: str
    session_id: str
    counts: tuple[int, int, int, int, int] | None = None
    is_draining: bool = False

    @classmethod
    def of(cls, record: ServiceRecord, *, is_draining: bool = False) -> ServiceStatus:
        session = record.session()
        counts = None if session is None else _counts_of(session)
        return cls(record.variable, record.name, record.kind, record.session_id, counts, is_draining)

    @classmethod
    def of_others(cls, runner: Runner, name: str, views: Sequence[ServiceView]) -> ServiceStatus:
        """Services of one name, such as the objects that calling the handle of a class has made: as one."""
        found = [runner.session(each.session_id) for each in views]
        sessions = [each for each in found if each is not None]  # others were closed meanwhile
        a, b, c, d, e = (sum(column) for column in zip((0,) * 5, *map(_counts_of, sessions), strict=True))
        is_one = len(views) == 1
        kind = views[0].kind if is_one and views[0].kind == "function" else counted(len(views), "object")
        return cls("", name, kind, views[0].session_id if is_one else "", (a, b, c, d, e))

    def facts(self) -> dict[str, object]:
        calls = None if self.counts is None else dict(zip(_COUNTED, self.counts, strict=True))
        facts = {
            "service": self.name,
            "variable": self.variable or None,
            "kind": self.kind,
            "session": self.session_id or None,
        }
        return {**facts, "calls": calls, "draining": self.is_draining}

    def cells(self) -> tuple[str, ...]:
        counts = ("",) * 5 if self.counts is None else tuple(map(str, self.counts))
        note = "draining" if self.is_draining else "opens at the first call" if self.counts is None else ""
        shown = self.name if self.variable in ("", self.name) else f"{self.name} (variable {self.variable})"
        return (shown, self.kind, self.session_id, *counts, note)


@dataclass(frozen=True)
class ServiceTable:
    """The services of the notebook."""

    services: tuple[ServiceStatus, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines()) or "Flame: no services. %%flame_service in the first line of a cell makes one."

    def _repr_html_(self) -> str:
        return table_html(SERVICE_COLUMNS, self._rows()) or f"<p>{html.escape(repr(self))}</p>"

    def lines(self) -> list[str]:
        return table_text(SERVICE_COLUMNS, self._rows())

    def _rows(self) -> list[tuple[str, ...]]:
        return [each.cells() for each in self.services]


def _counts_of(session: SessionView) -> tuple[int, int, int, int, int]:
    return session.pending, session.running, session.succeed, session.failed, session.cancelled
