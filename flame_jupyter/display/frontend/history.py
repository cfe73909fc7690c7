# SPDX-License-Identifier: Apache-2.0
"""What only IPython's history holds any more, as ``_12`` and ``Out[12]``: those big results move to disk.

A call that is the last line of a cell stays in the history for the whole session, and with it its value. It remains
reachable there, but it need not lie in memory. What the user has a name for, or has put somewhere, stays as it is, and
so do the last three results, ``_``, ``__`` and ``___``.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Mapping
from typing import Any

from flame_jupyter.display.model.snapshot import FutureLike

FROM_BYTES = 1_000_000
_RECENT = ("_", "__", "___")


class History:
    """Lives on the thread of the cells."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._shown: dict[int, weakref.ref[FutureLike]] = {}

    def add(self, future: FutureLike) -> None:
        """A cell displays it."""
        self._shown[id(future)] = weakref.ref(future)

    def left(self) -> list[FutureLike]:
        """The big results that nothing but the history holds, each once."""
        found = []
        for number, reference in list(self._shown.items()):
            future = reference()
            if future is None or (future.done() and (future.nbytes or 0) < FROM_BYTES):
                del self._shown[number]
            elif future.done():
                held = self._held_by_history(future)
                del future
                future = reference() if held and _references(reference) == held + _OWN_REFERENCES else None
                if future is not None:
                    found.append(future)
                    del self._shown[number]
        return found

    def _held_by_history(self, future: FutureLike) -> int:
        """How many references to it are IPython's own; 0 when it is one of the last three results."""
        names: Mapping[str, object] = getattr(self._shell, "user_ns", {})
        hidden: Mapping[str, object] = getattr(self._shell, "user_ns_hidden", {})  # has them too
        outputs = names.get("Out")
        if not isinstance(outputs, Mapping) or any(names.get(name) is future for name in _RECENT):
            return 0
        cells = [cell for cell, output in outputs.items() if output is future]
        named = sum(names.get(f"_{cell}") is future for cell in cells)
        # what IPython drops from the history, after a thousand results, it keeps here
        return len(cells) + named + sum(each is future for each in hidden.values())


def _references(reference: weakref.ref[Any]) -> int:
    return sys.getrefcount(reference())


class _Probe:
    pass


_probe = _Probe()
_OWN_REFERENCES = _references(weakref.ref(_probe)) - 1  # those of the look itself, as this Python counts
