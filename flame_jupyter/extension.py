# SPDX-License-Identifier: Apache-2.0
"""What ``%load_ext`` adds and ``%unload_ext`` takes away again, in reverse, from one stack."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakKeyDictionary

from IPython.core.error import UsageError
from IPython.core.extensions import ExtensionManager

from flame_jupyter.calls.interrupts import CellWaits
from flame_jupyter.magics.complete import matcher_for
from flame_jupyter.magics.ipython import FlameMagics
from flame_jupyter.notebook import Notebook
from flame_jupyter.output import say
from flame_jupyter.project.location import working_directory
from flame_jupyter.settings.preferences import prefer
from flame_jupyter.tracebacks.collect import install_renderer, short_interrupts, shorten
from flame_jupyter.tracebacks.hints import hint_for
from flamepy.front_ends import NEEDED, hiding_files, kernel_problem, show_progress_with

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flame_jupyter.display import Settings
    from flamepy import ObjectFuture


@dataclass
class _Loaded:
    """undo: what takes everything back; None while only the notebook is kept, between the halves of a reload."""

    notebook: Notebook
    undo: contextlib.ExitStack | None


UNLOAD_WAIT_S = 5.0  # who unloads wants to be rid of it, but a call that is nearly done should end
_FUTURE = ("flamepy.runner.waiting.object_future", "ObjectFuture")
_RUNNER = ("flamepy.runner.runner", "Runner")
_STREAM = ("flamepy.runner.service.object_stream", "ObjectStream")
_loaded: WeakKeyDictionary[InteractiveShell, _Loaded] = WeakKeyDictionary()


def load(shell: InteractiveShell) -> None:
    """Add the magics, the hooks and the displays. Loading twice is loading once."""
    before = _loaded.get(shell)
    if before is not None and before.undo is not None:
        return
    _refuse_hidden()
    kernel = sys.modules.get("ipykernel")
    if kernel is not None and (problem := kernel_problem(kernel.__version__)):
        warnings.warn(problem, UserWarning, stacklevel=2)
    with contextlib.ExitStack() as undo:
        magics = FlameMagics(shell, before.notebook if before is not None else None)
        notebook = magics.notebook
        _register_magics(shell, magics, undo)
        magics.sources.refresh(working_directory())  # raises UsageError for a setting that does not fit
        undo.callback(install_renderer(shell, lambda: notebook.services.index, lambda: magics.full_tracebacks))
        _register_completion(shell, notebook, undo)
        _register_hook(shell, notebook, undo)
        _register_waits(shell, magics, undo)
        _register_displays(shell, magics, undo)
        _register_hints(shell, undo)
        _loaded[shell] = _Loaded(notebook, undo.pop_all())


def _refuse_hidden() -> None:
    """Raises UsageError when a file beside the notebook would be imported in the place of what we need."""
    for each in hiding_files(NEEDED):
        if each.is_in_the_way():
            raise UsageError(
                f"{each.path} takes the place of the installed {each.module}, which flame_jupyter needs: rename it, "
                "and restart the kernel."
            )


def unload(shell: InteractiveShell) -> None:
    """Take everything back. Closes the notebook's Runner, unless this is the first half of ``%reload_ext``."""
    loaded = _loaded.get(shell)
    if loaded is None or loaded.undo is None:
        return
    undo, loaded.undo = loaded.undo, None
    undo.close()
    if not _is_reload(sys._getframe()):
        del _loaded[shell]
        _leave(shell, loaded.notebook)


def _leave(shell: InteractiveShell, notebook: Notebook) -> None:
    """Close the Runner: calls that do not end get a little time, and an interrupt takes that away."""
    if running := notebook.unfinished_calls():
        runs = "1 call still runs" if running == 1 else f"{running} calls still run"
        say(f"Flame: {runs}. What has not ended in {UNLOAD_WAIT_S:g} s is cancelled; an interrupt does it at once.")
    try:
        with short_interrupts(shell, lambda: notebook.settings.full_tracebacks):
            notebook.stop(wait_s=UNLOAD_WAIT_S)
    except KeyboardInterrupt:
        say("Interrupted: what still ran is cancelled, and the extension is unloaded.")
        manager: Any = shell.extension_manager
        manager.loaded.discard("flame_jupyter")  # IPython does it when nothing is raised
        raise


def _register_magics(shell: InteractiveShell, magics: FlameMagics, undo: contextlib.ExitStack) -> None:
    manager = shell.magics_manager
    shell.register_magics(magics)
    undo.callback(manager.registry.pop, type(magics).__name__, None)
    for kind, names in magics.magics.items():
        for name in names:
            undo.callback(manager.magics[kind].pop, name, None)
    configurables: list[Any] = shell.configurables  # IPython declares it narrower than what it puts there
    if magics in configurables:
        undo.callback(configurables.remove, magics)


def _register_completion(shell: InteractiveShell, notebook: Notebook, undo: contextlib.ExitStack) -> None:
    completer = shell.Completer
    if completer is None:  # a shell that completes nothing
        return
    matcher = matcher_for(notebook)
    completer.custom_matchers.append(matcher)
    undo.callback(completer.custom_matchers.remove, matcher)


def _register_hook(shell: InteractiveShell, notebook: Notebook, undo: contextlib.ExitStack) -> None:
    def after_cell(_result: object) -> None:
        notebook.services.identities.adopt(shell.user_ns)
        notebook.services.close_idle()

    undo.callback(notebook.capture.install(shell))
    shell.events.register("post_run_cell", after_cell)
    undo.callback(shell.events.unregister, "post_run_cell", after_cell)


def _register_waits(shell: InteractiveShell, magics: FlameMagics, undo: contextlib.ExitStack) -> None:
    echo = magics.notebook.echo
    waits = CellWaits(
        policy=lambda: str(magics.on_interrupt),
        shorten=lambda error: shorten(shell, error, lambda: magics.full_tracebacks),
        say=say,
        unfinished=magics.notebook.unfinished_calls,
        after_wait=echo.waited,
    )
    waits.begin_cell()  # the cell that loads the extension has begun before
    undo.callback(waits.close)
    echo.begin_cell()
    for event, hook in (
        ("pre_run_cell", waits.begin_cell),
        ("post_run_cell", waits.end_cell),
        ("pre_run_cell", echo.begin_cell),
        ("post_run_cell", echo.end_cell),
    ):
        shell.events.register(event, hook)
        undo.callback(shell.events.unregister, event, hook)


def _register_displays(shell: InteractiveShell, magics: FlameMagics, undo: contextlib.ExitStack) -> None:
    """Show futures and Runners. By name: their modules are loaded when the first of them is made."""
    if shell.display_formatter is None:  # a shell that displays nothing
        return
    undo.callback(prefer(shell, lambda: _settings_of(magics)))
    if getattr(shell, "kernel", None) is not None:  # a terminal has a bar of its own
        undo.callback(show_progress_with(_show_progress))
    formatter = shell.display_formatter.ipython_display_formatter
    shown: list[tuple[tuple[str, str], Callable[[Any], None]]] = [
        (_FUTURE, lambda future: _show_first(shell, future)),
        (_RUNNER, lambda runner: show_runner(magics, runner)),
        (_STREAM, lambda stream: _show_stream(shell, stream)),
    ]
    for (module, name), show_it in shown:
        formatter.for_type_by_name(module, name, show_it)
        undo.callback(formatter.pop, f"{module}.{name}", None)


def _register_hints(shell: InteractiveShell, undo: contextlib.ExitStack) -> None:
    def hint(result: Any) -> None:
        if text := hint_for(result.error_in_exec):
            print(text)  # noqa: T201 - below the traceback, where the eye is

    shell.events.register("post_run_cell", hint)
    undo.callback(shell.events.unregister, "post_run_cell", hint)


def show_runner(magics: FlameMagics, runner: Any) -> None:
    """The panel of the notebook's Runner, the ``repr`` of others."""
    from IPython.display import display

    from flame_jupyter.display import show_panel
    from flame_jupyter.reports.status_panel import panel_of

    if runner is magics.notebook.runner:
        show_panel(magics.shell, panel_of(magics.notebook))
    else:
        display({"text/plain": repr(runner)}, raw=True)


def _show_first(shell: InteractiveShell, future: Any) -> None:
    """The first future that is displayed loads the live view, which shows itself and all others from then on."""
    from flame_jupyter.display import install, show

    install(shell)
    show(future)


def _show_stream(shell: InteractiveShell, stream: Any) -> None:
    from flame_jupyter.display import show_stream

    show_stream(shell, stream)


def _show_progress(futures: Sequence[ObjectFuture]) -> None:
    """What ``Runner.wait(..., progress=True)`` shows in a notebook."""
    from flame_jupyter.display import progress

    progress(futures)


def _settings_of(magics: FlameMagics) -> Settings:
    from flame_jupyter.display import Limits, Settings
    from flame_jupyter.display.views.mode import is_voila

    return Settings(
        display=cast(Literal["auto", "widget", "html", "text"], magics.display),
        settle="keep-widget" if is_voila() else cast(Literal["static", "keep-widget"], magics.settle),
        settle_timeout_s=magics.settle_timeout,
        max_live_widgets=magics.max_live_widgets,
        limits=Limits(fetch_bytes=magics.preview_fetch_max, html_chars=magics.preview_html_max),
    )


def _is_reload(frame: FrameType | None) -> bool:
    """Is ``%reload_ext`` our caller? IPython unloads and loads again, and tells neither half about the other."""
    while frame is not None:
        if frame.f_code is ExtensionManager.reload_extension.__code__:
            return True
        frame = frame.f_back
    return False
