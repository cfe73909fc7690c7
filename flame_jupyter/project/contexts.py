# SPDX-License-Identifier: Apache-2.0
"""``%flame_runner contexts`` and ``use``: the contexts of ``flame.yaml``, and which of them answer."""

from __future__ import annotations

import contextlib
import html
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from flame_jupyter.tables import table_html, table_text
from flame_jupyter.wording import counted
from flamepy.errors import FlameError
from flamepy.front_ends import monotonic_s

if TYPE_CHECKING:
    from flamepy import ClusterView, FlameContext

LOCAL = "local"  # the embedded engine, also where no context of the file has the name
DEFAULT = "default"
PROBE_S = 1.5  # all addresses are asked at one time; one that takes longer to answer is of no use
_COLUMNS = ("", "context", "runs calls on", "answers")
_GRACE_S = 0.3  # for the connection to close, and the answer to be written down
_ADDRESSES = ("FLAME_ENDPOINT", "FLAME_CACHE_ENDPOINT")


@dataclass(frozen=True)
class ContextRow:
    """is_chosen: new services run there; answer: in words."""

    name: str
    endpoint: str | None
    is_chosen: bool
    answer: str = "runs here"

    def cells(self) -> tuple[str, ...]:
        return ("*" if self.is_chosen else "", self.name, self.endpoint or "this machine", self.answer)


@dataclass(frozen=True)
class ContextTable:
    """source: the file, None when there is none."""

    rows: tuple[ContextRow, ...]
    source: str | None

    def __repr__(self) -> str:
        return "\n".join([self._title(), *table_text(_COLUMNS, self._cells())])

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self._title())}</p>{table_html(_COLUMNS, self._cells())}"

    def _title(self) -> str:
        if self.source is not None:
            return f"Contexts of {self.source} (* = new services run there)"
        where = "calls run on the embedded engine" if not self.rows else "the environment says where calls run"
        return f"Flame: no configuration file, so {where}. ~/.flame/flame.yaml adds more."

    def _cells(self) -> list[tuple[str, ...]]:
        return [each.cells() for each in self.rows]


def context_called(name: str) -> FlameContext:
    """The context of that name, with the addresses of the file: who names one means it, whatever FLAME_ENDPOINT says.

    Unless the file gives them another meaning, ``local`` is the embedded engine, and ``default`` what counts when
    nobody names a context. Raises InvalidConfig for other names.
    """
    from flamepy import FlameContext

    if name in (LOCAL, DEFAULT) and name not in [each.name for each in configured_contexts()]:
        return FlameContext(name=LOCAL, endpoint=None) if name == LOCAL else current_context()
    return FlameContext.named(name, environ=_without_addresses())


def current_context() -> FlameContext:
    """What counts when nobody names a context. Without a name where FLAME_ENDPOINT replaces what the file says."""
    from flamepy import FlameContext

    return FlameContext(name=None) if os.environ.get(_ADDRESSES[0], "").strip() else FlameContext()


def configured_contexts() -> list[FlameContext]:
    """Those of the file, with its addresses. Raises InvalidConfig."""
    from flamepy import FlameContext

    return FlameContext.all(environ=_without_addresses())


def _without_addresses() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in _ADDRESSES}


def where_text(context: FlameContext) -> str:
    """Where calls of this context run, for the middle of a sentence."""
    if context.endpoint is None:
        return "this machine"
    return f"the cluster at {context.endpoint}"


def cluster_problem(context: FlameContext) -> str:
    """Why the cluster of ``context`` cannot be used just now, in one sentence; "" = it answers, or there is none."""
    from flamepy.front_ends import cluster_of

    if context.endpoint is None:
        return ""
    named = f"context {context.name!r}: " if context.name else ""
    try:
        view = cluster_of(context, timeout_s=PROBE_S)
    except FlameError as error:
        return f"{named}{context.endpoint} cannot be used: {error}"
    if not view.problem:
        return ""
    return f"{named}{context.endpoint} does not answer ({view.problem}): see whether it runs, and at this address."


def context_table(contexts: Sequence[FlameContext], chosen: FlameContext) -> ContextTable:
    """Ask every cluster and its object cache whether they answer, all at one time.

    contexts: those of the file; chosen: what new Runners use, which may come from the environment instead.
    """
    rows = [ContextRow(each.name or "", each.endpoint, _same(each, chosen)) for each in contexts]
    asked = list(contexts)
    if not any(each.is_chosen for each in rows) and (chosen.endpoint is not None or rows):
        rows.append(
            ContextRow(LOCAL if chosen.endpoint is None else "(FLAME_ENDPOINT)", chosen.endpoint, is_chosen=True)
        )
        asked.append(chosen)
    answers = _answers([each for each in asked if each.endpoint is not None])
    shown = [
        replace(row, answer=answers[context.endpoint]) if context.endpoint is not None else row
        for row, context in zip(rows, asked, strict=True)
    ]
    return ContextTable(tuple(shown), contexts[0].source if contexts else None)


def _same(context: FlameContext, chosen: FlameContext) -> bool:
    return (context.name, context.endpoint) == (chosen.name, chosen.endpoint)


def _answers(contexts: Sequence[FlameContext]) -> dict[str, str]:
    """The words of each cluster, by its endpoint."""
    from flamepy.front_ends import load_cluster

    if not contexts:
        return {}
    answers = {each.endpoint or "": f"no: no answer in {PROBE_S:g} s" for each in contexts}
    with contextlib.suppress(FlameError):  # each says so by itself
        load_cluster()

    def probe(context: FlameContext) -> None:
        answers[context.endpoint or ""] = _answer(context)

    # daemons, because looking up a host's name knows no timeout
    threads = [threading.Thread(target=probe, args=(each,), daemon=True) for each in contexts]
    for thread in threads:
        thread.start()
    deadline_s = monotonic_s() + PROBE_S + _GRACE_S
    for thread in threads:
        thread.join(max(0.0, deadline_s - monotonic_s()))
    return dict(answers)


def _answer(context: FlameContext) -> str:
    from flamepy.front_ends import cluster_of, connection_problem

    try:
        view = cluster_of(context, timeout_s=PROBE_S)
    except FlameError as error:
        return f"no: {error}"
    if view.problem:
        return f"no: {view.problem}"
    cache = context.cache_endpoint
    if cache is not None and (problem := connection_problem(cache, PROBE_S)):
        return f"{answer_text(view)}; its object cache at {cache} does not: {problem}"
    return answer_text(view)


def answer_text(view: ClusterView) -> str:
    """``in 3 ms: 2 nodes, 8 slots``"""
    ready = sum(each.is_ready for each in view.nodes)
    nodes = counted(ready, "node") + ("" if ready == len(view.nodes) else f" of {len(view.nodes)} ready")
    return f"in {max(1, round(view.answer_s * 1000))} ms: {nodes}, {counted(view.slots, 'slot')}"
