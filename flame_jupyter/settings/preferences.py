# SPDX-License-Identifier: Apache-2.0
"""What a loaded extension tells the display, without loading it: how to show things, and when all is taken back.

``settings`` gives a ``display.views.mode.Settings``, which is made when something is displayed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


@dataclass(eq=False)
class Preferences:
    """settings: asked at each use, so that a change takes effect at once. undo: run when the extension is unloaded."""

    settings: Callable[[], Any]
    undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)


_preferences: WeakKeyDictionary[InteractiveShell, Preferences] = WeakKeyDictionary()


def prefer(shell: InteractiveShell, settings: Callable[[], Any]) -> Callable[[], None]:
    """The display of ``shell`` follows ``settings`` until the undo, which is returned, has run."""
    mine = _preferences[shell] = Preferences(settings)

    def undo() -> None:
        _preferences.pop(shell, None)
        mine.undo.close()

    return undo


def preferences_of(shell: InteractiveShell) -> Preferences | None:
    """None while the extension is not loaded."""
    return _preferences.get(shell)
