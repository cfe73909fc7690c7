# SPDX-License-Identifier: Apache-2.0
"""How calls look in a notebook: live while they are pending, static and complete afterwards.

source -> content (plain data) -> text, html, widget -> front end. ``install`` is called by the extension; ``show``
displays a future from anywhere, as ``display(future)`` does; ``progress``, ``inspect`` and ``show_panel`` are outputs.
"""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from flame_jupyter.display.previews.preview import Limits
from flame_jupyter.display.views.mode import Settings, is_voila
from flame_jupyter.settings.preferences import preferences_of

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.display.frontend.display_manager import DisplayManager
    from flame_jupyter.display.model.snapshot import FutureLike
    from flame_jupyter.display.sources.inspector import Inspector
    from flame_jupyter.display.sources.panel import Panel
    from flame_jupyter.display.sources.printed import EchoSource
    from flame_jupyter.display.sources.stream import StreamLike
    from flamepy import ObjectFuture

__all__ = ["Limits", "Settings", "inspect", "install", "progress", "show", "show_echo", "show_panel", "show_stream"]

_managers: WeakKeyDictionary[InteractiveShell, DisplayManager] = WeakKeyDictionary()


def install(shell: InteractiveShell) -> Callable[[], None]:
    """Let ``shell`` display futures; once is enough. Returns what takes it back; that may be called twice.

    While the extension is loaded, it is taken back together with that.
    """
    from flame_jupyter.display.frontend.display_manager import DisplayManager
    from flamepy import ObjectFuture

    if shell in _managers or shell.display_formatter is None:  # a shell that displays nothing
        return lambda: None

    def settings() -> Settings:
        preferred = preferences_of(shell)
        return Settings() if preferred is None else preferred.settings()

    manager = _managers[shell] = DisplayManager(shell, settings)
    formatter = shell.display_formatter.ipython_display_formatter
    formatter.for_type(ObjectFuture, manager.show)
    shell.events.register("pre_run_cell", manager.begin_cell)
    shell.events.register("post_run_cell", manager.end_cell)
    atexit.register(manager.close_with_kernel)
    is_installed = True

    def uninstall() -> None:
        nonlocal is_installed
        if not is_installed:
            return
        is_installed = False
        _managers.pop(shell, None)
        formatter.pop(ObjectFuture, None)
        shell.events.unregister("pre_run_cell", manager.begin_cell)
        shell.events.unregister("post_run_cell", manager.end_cell)
        atexit.unregister(manager.close_with_kernel)
        manager.close()

    preferred = preferences_of(shell)
    if preferred is not None:
        preferred.undo.callback(uninstall)
    return uninstall


def show(future: FutureLike) -> None:
    """Display a future in the output of the running cell; without the extension, and outside of IPython, its text."""
    from IPython.display import display

    display(future)


def progress(
    futures: Iterable[ObjectFuture],
    *,
    group_by: Callable[[ObjectFuture], object] | str = "service.method",
    leave: bool = True,
) -> None:
    """Show how far calls are, one bar a group. In a notebook it returns at once; in a terminal it waits.

    Args:
        futures: Of the calls.
        group_by: Gives the name of a future's group; by default ``"service.method"``, which is that of the call.
        leave: Keep the final numbers, as by default? Else they are taken away again.

    Example:
        >>> from flame_jupyter import progress
        >>> from flamepy import Runner
        >>> with Runner("docs") as runner:
        ...     service = runner.service(len)
        ...     progress([service("one"), service("two")])
    """
    listed = list(futures)
    manager = _manager_here()
    if manager is None or not manager.has_kernel:
        from flamepy.front_ends import wait_for_all

        wait_for_all(listed, None, progress=True)
        return
    from flame_jupyter.display.sources.progress import Progress

    def group(future: FutureLike) -> str:
        return future.name if isinstance(group_by, str) else str(group_by(cast("ObjectFuture", future)))

    manager.show_source(Progress(listed, group, leave=leave))


def inspect(future: ObjectFuture) -> Inspector:
    """Look at one result from all sides: pages of a table, text, traceback, output.

    Args:
        future: Of the call.

    Returns:
        What is shown as the last line of a cell. ``close()`` leaves it static; ``value`` is what its button
        "Load full value" has read.

    Raises:
        RuntimeError: Outside of IPython.

    Example:
        >>> from IPython.core.interactiveshell import InteractiveShell
        >>> from flame_jupyter import inspect
        >>> from flamepy import Runner
        >>> shell = InteractiveShell.instance()
        >>> with Runner("docs") as runner:
        ...     inspector = inspect(runner.service(sorted)("ba"))
        ...     inspector.close()
    """
    from flame_jupyter.display.sources.inspector import Inspector

    manager = _manager_here()
    if manager is None:
        raise RuntimeError("the inspector needs a notebook or IPython: elsewhere use future.get() or print(future).")
    return Inspector(future, manager, manager.settings.limits)


def show_panel(shell: InteractiveShell, panel: Panel) -> None:
    """Display the status of a Runner in the output of the running cell."""
    _manager_of(shell).show_source(panel)


def show_stream(shell: InteractiveShell, stream: StreamLike) -> None:
    """Display in the output of the running cell how many parts of a stream were taken, and how it ended."""
    from flame_jupyter.display.sources.stream import StreamSource

    _manager_of(shell).show_source(StreamSource(stream))


def show_echo(shell: InteractiveShell, limit_chars: int, *, only_stderr: bool = False) -> EchoSource | None:
    """An output for what the calls of the running cell print; None where no output changes after the cell."""
    from flame_jupyter.display.sources.printed import EchoSource

    manager = _manager_of(shell)
    if not manager.is_watched or is_voila():
        return None
    source = EchoSource(limit_chars, only_stderr=only_stderr)
    manager.show_source(source)
    return source


def _manager_here() -> DisplayManager | None:
    """The display of the shell that runs this code; None outside of IPython."""
    from IPython.core.getipython import get_ipython

    shell: Any = get_ipython()
    return None if shell is None else _manager_of(shell)


def _manager_of(shell: InteractiveShell) -> DisplayManager:
    if shell not in _managers:
        install(shell)
    return _managers[shell]
