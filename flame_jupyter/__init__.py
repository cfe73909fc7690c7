# SPDX-License-Identifier: Apache-2.0
"""The notebook side of Flame: ``%load_ext flame_jupyter`` adds ``%flame_runner`` and ``%%flame_service``.

Imports nothing heavy: what the extension needs is loaded when IPython asks for it.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.cells.captured_data import HeavyServiceWarning as HeavyServiceWarning
    from flame_jupyter.display import inspect as inspect
    from flame_jupyter.display import progress as progress
    from flame_jupyter.export.exports import ExportWarning as ExportWarning
    from flame_jupyter.service.handle import ServiceRedefined as ServiceRedefined
    from flame_jupyter.settings.sources import SettingsWarning as SettingsWarning

_HOMES = {
    "ExportWarning": "export.exports",
    "HeavyServiceWarning": "cells.captured_data",
    "ServiceRedefined": "service.handle",
    "SettingsWarning": "settings.sources",
    "inspect": "display",
    "progress": "display",
}

__all__ = [
    "LAZY_MAGICS",
    "ExportWarning",
    "HeavyServiceWarning",
    "ServiceRedefined",
    "SettingsWarning",
    "inspect",
    "load_ipython_extension",
    "progress",
    "unload_ipython_extension",
]

# For ipython_config.py, c.MagicsManager.lazy_magics: the magics load the extension when they are first used. The names
# with a percent sign are what IPython looks for when a cell magic is not in the first line; they say so.
LAZY_MAGICS = dict.fromkeys(
    ("flame_runner", "flame_service", "flame_export", "%flame_service", "%flame_export"), "flame_jupyter"
)


def load_ipython_extension(shell: InteractiveShell) -> None:
    """What ``%load_ext flame_jupyter`` calls: adds the magics and the live view. A second call changes nothing.

    Args:
        shell: The IPython shell.

    Raises:
        UsageError: Where it cannot work: in a kernel in the browser, or beside another module called flamepy.

    Example:
        >>> from IPython.core.interactiveshell import InteractiveShell
        >>> import flame_jupyter
        >>> shell = InteractiveShell.instance()
        >>> flame_jupyter.load_ipython_extension(shell)
        >>> shell.find_cell_magic("flame_service") is None
        False
        >>> flame_jupyter.unload_ipython_extension(shell)
    """
    if sys.platform == "emscripten":
        from IPython.core.error import UsageError

        raise UsageError(
            "flame_jupyter runs calls on worker processes, and a kernel in the browser (JupyterLite) cannot start any: "
            "open this notebook in JupyterLab, Notebook or VS Code, with a kernel on a machine."
        )
    _refuse_other_flamepy()
    from flame_jupyter.extension import load

    load(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """What ``%unload_ext flame_jupyter`` calls: closes the notebook's Runner and takes everything back.

    Args:
        shell: The IPython shell.

    Example:
        >>> from IPython.core.interactiveshell import InteractiveShell
        >>> import flame_jupyter
        >>> shell = InteractiveShell.instance()
        >>> flame_jupyter.load_ipython_extension(shell)
        >>> flame_jupyter.unload_ipython_extension(shell)
        >>> print(shell.find_cell_magic("flame_service"))
        None
    """
    from flame_jupyter.extension import unload

    unload(shell)


def _refuse_other_flamepy() -> None:
    """A first script is easily called flamepy.py. Raises UsageError, before any of it is run."""
    ours = os.path.join(os.path.dirname(os.path.dirname(os.path.realpath(__file__))), "flamepy", "__init__.py")
    spec = importlib.util.find_spec("flamepy")
    if spec is None or spec.origin is None or os.path.realpath(spec.origin) == ours or not os.path.exists(ours):
        return
    from IPython.core.error import UsageError

    raise UsageError(
        f"{spec.origin} takes the place of the installed flamepy, which flame_jupyter needs: rename it, and restart "
        "the kernel."
    )


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{home}"), name)
