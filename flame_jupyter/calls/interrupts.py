# SPDX-License-Identifier: Apache-2.0
"""What an interrupt does to the calls that a cell waits for: they are cancelled, and one line says so.

flamepy.runner tells which calls each wait of the cell is for. A blocking wait that ends with KeyboardInterrupt is
dealt with there and then. An awaiting one ends with asyncio's CancelledError, as it also does for a timeout or for
``task.cancel()``: that it was an interrupt is known when the task of the cell itself was cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from flamepy.errors import FlameError
from flamepy.front_ends import monotonic_s, watch_waits

if TYPE_CHECKING:
    from flamepy.runner import ObjectFuture, Runner

CANCEL_BOUND_S = 2.0  # asking an engine takes microseconds, a cluster that does not answer must not hold the cell
_SPREAD_S = 1.0  # one interrupt breaks off everything that a cell awaits within this; what was given up earlier stays


class CancellableCall(Protocol):
    """The part of an ObjectFuture that is needed to end it."""

    def done(self) -> bool: ...

    def cancel(self) -> bool: ...


class CellWaits:
    """Watches the waits of one shell's cells.

    policy: "cancel" or "detach", asked at each interrupt; shorten: makes the traceback of an interrupt show the
    user's lines alone; say: prints a line into the running cell; unfinished: how many calls of the notebook have not
    ended; after_wait: is told of each wait that is over.
    """

    def __init__(
        self,
        policy: Callable[[], str],
        shorten: Callable[[BaseException], object],
        say: Callable[[str], object],
        unfinished: Callable[[], int],
        after_wait: Callable[[Collection[ObjectFuture]], object] = lambda _: None,
    ) -> None:
        self._policy = policy
        self._shorten = shorten
        self._say = say
        self._unfinished = unfinished
        self._after_wait = after_wait
        self._task: asyncio.Task[Any] | None = None
        self._broken_off: list[tuple[float, Sequence[ObjectFuture]]] = []
        self._has_told = False  # of an interrupt of this cell
        # before Python 3.11 a task cannot tell that it was cancelled, and not one that it awaits
        self._notices = _NoticedInterrupts() if sys.version_info < (3, 11) else None

    def begin_cell(self, _info: object = None) -> None:
        """``pre_run_cell``: from now on, in this cell and in the tasks that it starts."""
        self._has_told = False
        self._broken_off.clear()
        try:
            self._task = asyncio.current_task()
        except RuntimeError:  # no loop runs: the cell does not await
            self._task = None
        watch_waits(self._watch)

    def end_cell(self, result: Any = None) -> None:
        """``post_run_cell``: end the calls that an interrupted cell was awaiting."""
        broken_off, self._broken_off = self._broken_off, []
        # an interrupt may also hit between two statements of the cell, while IPython compiles the next one
        error = getattr(result, "error_in_exec", None) or getattr(result, "error_before_exec", None)
        was_interrupted = _was_cancelled(self._task) if self._notices is None else self._notices.end()
        if broken_off and isinstance(error, asyncio.CancelledError) and was_interrupted:
            since_s = broken_off[-1][0] - _SPREAD_S
            with _interruptible():
                self._interrupted([each for at_s, futures in broken_off if at_s >= since_s for each in futures])
        elif (
            isinstance(error, KeyboardInterrupt) and not self._has_told
        ):  # it hit no wait: a loop that looks and sleeps
            self._tell("")

    def close(self) -> None:
        watch_waits(None)

    def _watch(self, futures: Collection[ObjectFuture], *, is_blocking: bool) -> AbstractContextManager[None]:
        return self._blocking(futures) if is_blocking else self._awaiting(futures)

    @contextlib.contextmanager
    def _blocking(self, futures: Collection[ObjectFuture]) -> Iterator[None]:
        with _interruptible():
            try:
                yield
            except KeyboardInterrupt as error:
                self._shorten(error)
                self._interrupted(futures)
                raise
            finally:
                self._after_wait(futures)

    @contextlib.contextmanager
    def _awaiting(self, futures: Collection[ObjectFuture]) -> Iterator[None]:
        if self._notices is not None:
            self._notices.begin()
        try:
            yield
        except asyncio.CancelledError as error:
            self._shorten(error)
            self._broken_off.append((monotonic_s(), tuple(futures)))
            raise
        finally:
            self._after_wait(futures)

    def _interrupted(self, futures: Collection[ObjectFuture]) -> None:
        pending = [each for each in dict.fromkeys(futures) if not each.done()]
        if not pending:
            return
        if self._policy() == "detach":
            self._tell("")
        else:
            self._tell(cancelled(pending), pending)

    def _tell(self, what: str, asked: Sequence[ObjectFuture] = ()) -> None:
        """``what`` was done, and how many calls go on; nothing when there is nothing to tell. asked: to end."""
        self._has_told = True
        counted: list[int] = []
        reason = asked_in_background(lambda: counted.append(unfinished_besides(asked, self._unfinished)))
        text = going_on(counted[0], are_others=bool(what)) if counted else f"Others may go on ({reason})."
        if what or text:
            self._say(" ".join(each for each in (what or "Interrupted:", text) if each))


def unfinished_besides(asked: Sequence[CancellableCall], unfinished: Callable[[], int]) -> int:
    """How many calls have not ended, those left out that were asked to."""
    while True:
        before = sum(not each.done() for each in asked)
        number = unfinished()
        if sum(not each.done() for each in asked) == before:  # none of them has ended just now
            return max(number - before, 0)


def going_on(number: int, *, are_others: bool) -> str:
    """``4 other calls go on: %flame_runner cancel ends them.``; "" when there are none."""
    if not number:
        return ""
    other = "other " if are_others else ""
    calls, go, them = ("call", "goes", "it") if number == 1 else ("calls", "go", "them")
    return f"{number} {other}{calls} {go} on: %flame_runner cancel ends {them}."


def stop_interrupted(runner: Runner, running: Sequence[ObjectFuture]) -> str:
    """What an interrupted ``%flame_runner stop`` has left. running: the calls that it has waited for."""
    if not runner.is_closed():
        text = going_on(sum(not each.done() for each in running), are_others=False)
        return f"Interrupted: the Runner {runner.name} and its services are as they were. {text}".rstrip()
    stopped = sum(each.cancelled() for each in running)
    return f"Interrupted: cancelled {_calls(stopped)}, and the Runner {runner.name} is stopped."


def asked_in_background(ask: Callable[[], object], bound_s: float = CANCEL_BOUND_S) -> str:
    """Let a thread ask the engine; returns why it was abandoned, "" when it was not.

    By a thread, because what a second interrupt abandons must not go on in this one.
    """
    thread = threading.Thread(target=ask, name="flame-jupyter-cancel", daemon=True)
    try:
        thread.start()
        thread.join(bound_s)
    except KeyboardInterrupt:
        return "you interrupted the cancelling too"
    return f"the engine did not answer in {bound_s:g} s" if thread.is_alive() else ""


def cancelled(calls: Sequence[CancellableCall], *, bound_s: float = CANCEL_BOUND_S) -> str:
    """Cancel ``calls`` and say in a line what came of it. A second interrupt ends the asking, and so do ``bound_s``."""
    answered: list[bool] = []

    def ask() -> None:
        for each in calls:
            try:
                answered.append(each.cancel())
            except FlameError:  # its engine has ended, and the call with it
                answered.append(False)

    reason = asked_in_background(ask, bound_s)
    answers = answered.copy()
    stopped = sum(answers)
    running_on = sum(not answer and not call.done() for answer, call in zip(answers, calls, strict=False))
    text = f"Interrupted: cancelled {_calls(stopped)}"
    if running_on:
        text += f", {running_on} already running cannot be stopped on this cluster"
    if unasked := len(calls) - len(answers):
        text += f"; {unasked} may go on, because {reason}"
    return text + "."


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Let an interrupt end what blocks, also in a cell that awaits.

    There ipykernel's handler only asks the event loop to cancel the cell, and a loop that is blocked never turns.
    """
    before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None
    if not getattr(before, "__module__", "").startswith("ipykernel."):
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _NoticedInterrupts:
    """Notices an interrupt that ipykernel turns into the cancelling of the cell's task."""

    def __init__(self) -> None:
        self._before: Any = None  # the handler of ipykernel, while ours stands in its place
        self._has_come = False

    def begin(self) -> None:
        """The cell awaits: its handler is in place. Once for each cell is enough."""
        if self._before is not None or threading.current_thread() is not threading.main_thread():
            return
        before = signal.getsignal(signal.SIGINT)
        if getattr(before, "__module__", "").startswith("ipykernel."):
            self._before, self._has_come = before, False
            signal.signal(signal.SIGINT, self._note)

    def end(self) -> bool:
        """The cell has ended; had an interrupt come?"""
        before, self._before = self._before, None
        if before is not None and signal.getsignal(signal.SIGINT) == self._note:
            signal.signal(signal.SIGINT, before)
        has_come, self._has_come = self._has_come, False
        return has_come

    def _note(self, *arguments: Any) -> None:
        self._has_come = True
        self._before(*arguments)


def _was_cancelled(task: asyncio.Task[Any] | None) -> bool:
    """Was the task of the cell cancelled, and no other?"""
    cancelling: Callable[[], int] | None = getattr(task, "cancelling", None)
    return cancelling is not None and cancelling() > 0


def _calls(number: int) -> str:
    return f"{number} call{'' if number == 1 else 's'}"
