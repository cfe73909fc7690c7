# SPDX-License-Identifier: Apache-2.0
"""A failed call as the notebook shows it: one traceback, of the worker, at the lines of the cells.

First the frames of the worker, with the source around them; then one line for the caller's own line; then what
went wrong. Here frames and cells are looked up; how that reads is in ``failures``.
"""

from __future__ import annotations

import asyncio
import linecache
import os
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import groupby
from types import TracebackType
from typing import TYPE_CHECKING, Any

import IPython
from IPython.utils.path import compress_user

import flamepy
from flame_jupyter.tracebacks.cell_index import CodeIndex, place_in
from flame_jupyter.tracebacks.render import (
    ShownFailure,
    ShownFrame,
    causes_in,
    library_of,
    members_in,
    members_of,
    rendered,
    summary,
)

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from flamepy import ObjectFuture
    from flamepy.errors import FlameError

CONTEXT_LINES = 2  # before and after the line of a frame, as IPython shows
_MAX_CALLERS = 12
_OUR_DIRECTORIES = tuple(
    os.path.dirname(os.path.abspath(each)) + os.sep for each in (os.path.dirname(__file__), flamepy.__file__)
)
_MACHINERY = (*_OUR_DIRECTORIES, os.path.dirname(os.path.abspath(IPython.__file__)) + os.sep)
TIMEOUTS = (TimeoutError, asyncio.TimeoutError)  # two classes before Python 3.11
_OWN = "most recent call last"


def install_renderer(
    shell: InteractiveShell, index: Callable[[], CodeIndex], shows_everything: Callable[[], bool]
) -> Callable[[], None]:
    """Make IPython show the errors of flamepy our way; returns the undo."""
    from flamepy.errors import FlameError

    def _render_traceback_(error: FlameError) -> list[str]:
        if shows_everything():
            return _all_of(shell, error)
        mode = str(shell.InteractiveTB.mode)  # what ``%xmode`` has set
        failure = collected(shell, error, index(), context_lines=0 if mode == "Plain" else CONTEXT_LINES)
        if mode == "Minimal":
            return [failure.message, *failure.members, *failure.notes]
        if mode == "Verbose":
            return _with_values(shell, error, failure)
        return rendered(failure, is_colored=_is_colored(shell))

    hooked: Any = FlameError  # the attribute is IPython's protocol; flamepy itself knows nothing of it
    hooked._render_traceback_ = _render_traceback_
    show_as_before = _show_groups_and_the_users_line(shell, shows_everything)

    def undo() -> None:
        show_as_before()
        if vars(FlameError).get("_render_traceback_") is _render_traceback_:
            del hooked._render_traceback_

    return undo


def _show_groups_and_the_users_line(
    shell: InteractiveShell, shows_everything: Callable[[], bool]
) -> Callable[[], None]:
    """Let debuggers begin at the user's line, and show a group as any other error; returns the undo.

    IPython asks the exception itself how it is shown, but not a group and no SyntaxError, which it takes for one of the
    cell; and it keeps the traceback for ``%debug``.
    """
    from flamepy.errors import FlameError

    shown_by_ipython = shell.showtraceback

    def showtraceback(exc_tuple: Any = None, *args: Any, **kwargs: Any) -> None:
        error = exc_tuple[1] if exc_tuple is not None else sys.exc_info()[1] or getattr(sys, "last_value", None)
        if not isinstance(error, BaseException) or shows_everything():
            shown_by_ipython(exc_tuple, *args, **kwargs)
            return
        for each in _with_others(error):
            if isinstance(each, FlameError):
                _end_at_the_users_line(each.__traceback__)
        if isinstance(error, TIMEOUTS) and any(map(_is_end_of_an_await, _with_others(error))):
            shorten(
                shell, error, shows_everything, "what was awaited goes on. Await it again, or end it with cancel()."
            )
        if not isinstance(error, FlameError) or not (members_of(error) or isinstance(error, SyntaxError)):
            shown_by_ipython(exc_tuple, *args, **kwargs)
            return
        # what IPython's own showtraceback does for an error that renders itself
        kind, value, _ = shell._get_exc_info(exc_tuple)  # noqa: SLF001
        shell._showtraceback(kind, value, value._render_traceback_())  # noqa: SLF001
        if shell.call_pdb:
            shell.debugger(force=True)

    replaced: Any = shell
    replaced.showtraceback = showtraceback

    def undo() -> None:
        if vars(shell).get("showtraceback") is showtraceback:
            del replaced.showtraceback

    return undo


def _with_others(error: BaseException) -> Iterator[BaseException]:
    """The exception, its causes, the members of groups, and theirs; each once."""
    waiting: list[BaseException | None] = [error]
    seen = set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__, *members_of(each)]


def _is_end_of_an_await(error: BaseException) -> bool:
    """Was a task cancelled that awaited a call?"""
    trace = error.__traceback__ if isinstance(error, asyncio.CancelledError) else None
    return any(_is_ours(frame.f_code.co_filename) for frame, _ in traceback.walk_tb(trace))


def _with_values(shell: InteractiveShell, error: BaseException, failure: ShownFailure) -> list[str]:
    """All frames, and the values of the variables here: those of the worker have stayed there."""
    trace = error.__traceback__
    if trace is None or not failure.callers:
        return rendered(failure, is_colored=_is_colored(shell), is_short=False)
    on_worker = rendered(replace(failure, callers=(), message=""), is_colored=_is_colored(shell), is_short=False)
    alike = type(failure.kind, (Exception,), {"__module__": "builtins"})
    here = shell.InteractiveTB.structured_traceback(alike, alike(failure.message.partition(": ")[2]), trace)
    return [*on_worker, "called from", *here]


def _end_at_the_users_line(trace: TracebackType | None) -> None:
    """Cut off what follows the last frame of the user's: how a call, or a wait for one, works inside."""
    last = before_ours = None
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not _is_machinery(filename) and not library_of(filename):
            last = trace
        following = trace.tb_next
        if following is not None and before_ours is None and _is_ours(following.tb_frame.f_code.co_filename):
            before_ours = trace
        trace = following
    end = last or before_ours  # in a task that something of asyncio's has made, no frame is the user's
    if end is not None:
        end.tb_next = None


def shorten(
    shell: InteractiveShell, error: BaseException, shows_everything: Callable[[], bool], message: str = ""
) -> None:
    """Let the traceback of an interrupt show the lines of cells, not where in our code it found the thread.

    That is also what makes it quick: IPython would read and colour each file on the way. message: what to say of it.
    """
    if hasattr(error, "_render_traceback_"):  # inside of something that knows better what to show
        return

    def render() -> list[str]:
        if shows_everything():
            return _all_of(shell, error)
        kind = type(error).__name__
        frames = _with_source(_callers(shell, error.__traceback__), CONTEXT_LINES)
        text = f"{kind}: {message}" if message else kind
        return rendered(ShownFailure(kind, text, _OWN, frames), is_colored=_is_colored(shell))

    interrupt: Any = error  # the attribute is IPython's protocol
    interrupt._render_traceback_ = render


@contextmanager
def short_interrupts(shell: InteractiveShell, shows_everything: Callable[[], bool]) -> Iterator[None]:
    """Around a magic, which may be interrupted wherever it is."""
    try:
        yield
    except KeyboardInterrupt as error:
        shorten(shell, error, shows_everything)
        raise


def collected(
    shell: InteractiveShell, error: FlameError, index: CodeIndex, *, context_lines: int = CONTEXT_LINES
) -> ShownFailure:
    """Look up what is shown of ``error``: cells for the worker's frames, and the cell lines that led here.

    Of an error that no worker raised, the lines that led here are all there is: our own frames do not help.
    """
    from flamepy.errors import InvalidArgument, InvalidState, TaskFailed

    callers = _callers(shell, error.__traceback__)
    notes = tuple(map(str, getattr(error, "__notes__", ())))
    members = tuple(members_in(error))
    frames = tuple(_shown(shell, each, index, context_lines) for each in getattr(error, "flame_frames", ()))
    if isinstance(error, (InvalidArgument, InvalidState)) and all(each.library for each in frames):
        frames = ()  # such as a result that does not pickle: the pickler's frames say nothing of why
    kind, message = _told(error)
    if not isinstance(error, TaskFailed) or not frames:
        return ShownFailure(type(error).__name__, message, _OWN, _with_source(callers, context_lines), notes=notes)
    causes = causes_in(error.flame_traceback)
    return ShownFailure(kind, message, frames=frames, callers=callers, causes=causes, notes=notes, members=members)


def _told(error: FlameError) -> tuple[str, str]:
    """The name of the error, and what to say of it: as Python would, of what the user's code raised."""
    from flamepy.errors import DependencyFailed, InvalidArgument, InvalidState, StateLost, TaskFailed, WorkerLost
    from flamepy.front_ends import told

    if not isinstance(error, TaskFailed) or isinstance(error, (DependencyFailed, StateLost, WorkerLost)):
        return type(error).__name__, f"{type(error).__name__}: {error}"
    kind = error.flame_type_name
    if type(error) is TaskFailed or isinstance(error, (InvalidArgument, InvalidState)):
        return kind, told(error)  # what the user's code did not raise, or not as such: it says which call this is
    return kind, f"{kind}: {error.flame_detail}" if error.flame_detail else kind


def failures_of(futures: Iterable[ObjectFuture]) -> str:
    """Which of the calls that have ended have failed, each kind of error told once; "" when none has."""
    told: list[tuple[str, str]] = []
    for each in futures:
        error = each.exception(timeout=0) if each.state in ("failed", "lost") else None
        if error is not None:
            detail = str(getattr(error, "flame_detail", "")) or str(error)
            told.append((type(error).__name__, f"{each.call_text} #{each.id}: {detail}"))
    return summary(told)


def _shown(shell: InteractiveShell, frame: Any, index: CodeIndex, context_lines: int) -> ShownFrame:
    filename, function = frame.filename, frame.qualname or frame.function
    # the top level of a module is no code of a cell, whatever cell has a line of that number
    if shell.compile.format_code_name(filename) is None and frame.function != "<module>":
        name = (frame.function, frame.qualname, frame.lineno)
        place = index.place_of(*name) or place_in(_cells(shell), *name)
        if place is not None:
            filename, function = place.filename, place.qualname
    label = shell.compile.format_code_name(filename)
    if label is None:
        source = _source_here(frame, context_lines)
        return ShownFrame(compress_user(filename), function, frame.lineno, source, library=library_of(filename))
    source = _source_around(filename, frame.lineno, context_lines)
    return ShownFrame(" ".join(label), function, frame.lineno, source)


def _source_here(frame: Any, context_lines: int) -> tuple[tuple[int, str], ...]:
    """The lines around a frame in a file of this machine, when its line is still the one that has run."""
    if not frame.line:
        return ()
    linecache.checkcache(frame.filename)
    if linecache.getline(frame.filename, frame.lineno).strip() == frame.line:
        return _source_around(frame.filename, frame.lineno, context_lines)
    return ((frame.lineno, "    " + frame.line),)


def _with_source(frames: tuple[ShownFrame, ...], context_lines: int) -> tuple[ShownFrame, ...]:
    return tuple(replace(each, source=_source_around(each.filename, each.lineno, context_lines)) for each in frames)


def _all_of(shell: InteractiveShell, error: BaseException) -> list[str]:
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    return lines


def _is_colored(shell: InteractiveShell) -> bool:
    return str(getattr(shell, "colors", "NoColor")).lower() != "nocolor"


def _cells(shell: InteractiveShell) -> Iterator[tuple[str, str]]:
    """File name and source of the cells that have run, the latest first."""
    for filename in reversed(list(linecache.cache)):
        if shell.compile.format_code_name(filename) is not None:
            yield filename, "".join(linecache.getlines(filename))


def _source_around(filename: str, lineno: int, context_lines: int) -> tuple[tuple[int, str], ...]:
    lines = linecache.getlines(filename)
    first = max(1, lineno - context_lines)
    last = min(lineno + context_lines, len(lines))
    around = [(number, lines[number - 1].rstrip("\n")) for number in range(first, last + 1)]
    while around and not around[0][1].strip() and around[0][0] != lineno:
        around.pop(0)
    while around and not around[-1][1].strip() and around[-1][0] != lineno:
        around.pop()
    return tuple(around)


def _callers(shell: InteractiveShell, trace: TracebackType | None) -> tuple[ShownFrame, ...]:
    """The frames of cells; without any, the innermost one that is not ours."""
    cells: list[ShownFrame] = []
    other: ShownFrame | None = None
    while trace is not None:
        code = trace.tb_frame.f_code
        # an interrupt may hit an instruction that belongs to no line; typeshed does not know
        lineno = trace.tb_lineno or code.co_firstlineno
        line = linecache.getline(code.co_filename, lineno, trace.tb_frame.f_globals).strip()
        source = ((lineno, line),) if line else ()
        label = shell.compile.format_code_name(code.co_filename)
        # the line of a cell magic is no line of the user's; a cell that one runs has taken its place
        if label is not None and line and not line.startswith("get_ipython().run_cell_magic("):
            cells.append(ShownFrame(" ".join(label), code.co_name, lineno, source, code.co_filename))
        elif label is None and not _is_machinery(code.co_filename):
            other = ShownFrame(compress_user(code.co_filename), code.co_name, lineno, source, code.co_filename)
        trace = trace.tb_next
    shown: Sequence[ShownFrame] = cells or ([other] if other is not None else [])
    # a comprehension has a frame of its own before Python 3.12, on the line of the one around it
    once = [next(same) for _, same in groupby(shown, key=lambda frame: (frame.filename, frame.lineno))]
    return tuple(once[-_MAX_CALLERS:])


def _is_machinery(filename: str) -> bool:
    """Does the file belong to us, to IPython or to another installed package? Not what a user looks for."""
    return filename.startswith(_MACHINERY) or "site-packages" in filename.split(os.sep)


def _is_ours(filename: str) -> bool:
    return filename.startswith(_OUR_DIRECTORIES)
