# SPDX-License-Identifier: Apache-2.0
"""Many failed calls in one cell: the first few in full, the others folded, and one line that counts them all.

Twenty tracebacks that differ in a number hide the cell below them, and the one that is different among them. The first
folded view carries the summary; when more calls fail, it is sent again. Used on the thread of the cell, for calls that
had failed before they were displayed, and on the UI thread, for the others.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from flame_jupyter.display.model.formatting import counted, head
from flame_jupyter.display.model.snapshot import Snapshot
from flame_jupyter.tracebacks.render import summary

IN_FULL = 3
MAX_CELLS = 50  # that are remembered: a cell that was run so long ago fails no more
FIRST_CHARS = 120


@dataclass
class _Cell:
    """shown: the calls that it has displayed; failed: of those, the kind of error and the first words about it; ranks:
    in which order they failed.

    summarizer: the call that carries the summary; send: replaces the summary, once the view of that call is static;
    is_stale: the one on the page is older than what is known.
    """

    shown: set[int] = field(default_factory=set)
    failed: dict[int, tuple[str, str]] = field(default_factory=dict)
    ranks: dict[int, int] = field(default_factory=dict)
    summarizer: int | None = None
    send: Callable[[str], object] | None = None
    is_stale: bool = False

    def summary(self) -> str:
        calls = counted(len(self.shown), "call")
        return f"{len(self.failed)} of {calls} of this cell failed: {summary(self.failed.values())}."


class CellFailures:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._cells: OrderedDict[str, _Cell] = OrderedDict()

    def show(self, cell: str, call_id: int) -> None:
        """This cell has displayed a call. cell: "" outside of a kernel, where nothing is folded."""
        if cell:
            with self._lock:
                here = self._cell(cell)
                here.shown.add(call_id)
                here.is_stale = True

    def as_shown(self, cell: str, snapshot: Snapshot) -> Snapshot:
        """The snapshot of a failed call as this cell shows it: in full, folded, or folded below the summary."""
        if not cell or snapshot.problem is None:
            return snapshot
        with self._lock:
            here = self._cell(cell)
            if snapshot.id not in here.failed:
                problem = snapshot.problem
                first = head(f"{snapshot.call} #{snapshot.id}: {problem.message}", max_chars=FIRST_CHARS)
                here.failed[snapshot.id] = (problem.kind, first)
                here.is_stale = True
            if here.ranks.setdefault(snapshot.id, len(here.ranks)) < IN_FULL:
                return snapshot
            here.summarizer = snapshot.id if here.summarizer is None else here.summarizer
            return replace(snapshot, is_folded=True, summary=here.summary() if here.summarizer == snapshot.id else "")

    def settle(self, cell: str, snapshot: Snapshot, send: Callable[[Snapshot], object]) -> None:
        """This is on the page and will not change by itself; ``send`` replaces it."""
        if snapshot.summary:
            with self._lock:
                here = self._cell(cell)
                here.send = lambda words: send(replace(snapshot, summary=words))
                here.is_stale = snapshot.summary != here.summary()

    def has_changed(self) -> bool:
        """Is a summary on the page older than what is known?"""
        with self._lock:
            return any(here.send is not None and here.is_stale for here in self._cells.values())

    def tell(self) -> None:
        """Send the summaries that have changed."""
        sends = []
        with self._lock:
            for here in self._cells.values():
                if here.send is not None and here.is_stale:
                    here.is_stale = False
                    sends.append(functools.partial(here.send, here.summary()))
        for send in sends:
            send()

    def forget(self) -> None:
        with self._lock:
            self._cells.clear()

    def _cell(self, name: str) -> _Cell:
        here = self._cells.setdefault(name, _Cell())
        while len(self._cells) > MAX_CELLS:
            self._cells.popitem(last=False)
        return here
