# SPDX-License-Identifier: Apache-2.0
"""How services end: no new calls, then wait for the calls that are out, or cancel them; each wait has a bound.

Which calls are out is asked of the engine, so that making a call costs nothing for it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence

from flamepy.clock import monotonic_s
from flamepy.core.session import SessionState
from flamepy.engine.api import Engine
from flamepy.engine.completion import Completion
from flamepy.errors import FlameError, InvalidArgument, InvalidState, NotFound

logger = logging.getLogger(__name__)

# A cancelled call ends at the latest when the engine's grace period (5 s) is over and its worker is killed; this is
# for an engine that has lost its way, so that even then no wait lasts for ever.
CANCEL_BOUND_S = 30.0


def finish_sessions(
    engine: Engine,
    leases: Mapping[str, str],
    *,
    wait: bool,
    timeout_s: float | None,
    cancel: bool,
    then: Callable[[], object] = lambda: None,
) -> None:
    """Close sessions, and undo the rest with ``then``, which runs when they are closed, also by an interrupt.

    leases: session -> the lease that it is closed for. Without ``wait`` this returns at once; calls that are not
    cancelled go on, and a thread does the rest after them.
    """
    closed: set[str] = set()

    def finish() -> None:
        try:
            close_sessions(engine, leases, closed, wait=wait or not cancel, timeout_s=timeout_s, cancel=cancel)
        finally:
            if closed >= leases.keys():  # else an interrupt came too early
                then()

    def finish_behind() -> None:
        try:
            finish()
        except FlameError as error:  # the engine has ended meanwhile, and all calls with it
            logger.debug("close behind skipped sessions=%s reason=%s", list(leases), error)

    if wait or cancel:
        finish()
    else:
        # a daemon: at the interpreter's exit the engine cancels what is left
        threading.Thread(target=finish_behind, name="flame-close", daemon=True).start()


def close_sessions(
    engine: Engine,
    leases: Mapping[str, str],
    closed: set[str],
    *,
    wait: bool,
    timeout_s: float | None,
    cancel: bool,
) -> None:
    """Close sessions of one engine, newest first, and note in ``closed`` which are.

    wait: return when their calls have ended. timeout_s: how long calls may go on by themselves before they are
    cancelled; None = as long as they take. cancel: do not let them, cancel at once. An interrupt cancels too, and is
    raised again.
    """
    try:
        if wait and not cancel:
            cancel = not _wait_for_calls(engine, list(leases), timeout_s)
        _close_all(engine, leases, closed, wait=wait, cancel=cancel)
    except BaseException:
        _close_all(engine, leases, closed, wait=True, cancel=True)
        raise


def _close_all(engine: Engine, leases: Mapping[str, str], closed: set[str], *, wait: bool, cancel: bool) -> None:
    running = {session_id: list(unfinished_calls(engine, session_id)) for session_id in leases} if wait else {}
    for session_id in reversed(list(leases)):
        if not _close_session(engine, session_id, leases[session_id], cancel):
            running.pop(session_id, None)  # others have joined it: it goes on, with their calls
        closed.add(session_id)
    calls = [each for session_id in running for each in running[session_id]]
    _wait_for_all(engine, calls, monotonic_s() + CANCEL_BOUND_S)


def unfinished_calls(engine: Engine, session_id: str) -> Iterator[Completion]:
    """The calls of a session that have not ended; none when the session is gone."""
    try:
        view = engine.sessions.get(session_id)
        tasks = engine.sessions.tasks(session_id) if view.pending + view.running else []
    except (NotFound, InvalidState):  # its Runner, or the engine itself, has ended
        return
    for task in tasks:
        if not task.state.is_terminal():
            try:
                call = engine.task(session_id, task.id)
            except (NotFound, InvalidState):  # it has ended since, and is not pinned; or the engine has ended
                continue
            yield call


def count_unfinished(engine: Engine, session_id: str) -> int:
    """How many they are."""
    try:
        view = engine.sessions.get(session_id)
    except (NotFound, InvalidState):
        return 0
    return view.pending + view.running


def _wait_for_calls(engine: Engine, session_ids: Sequence[str], timeout_s: float | None) -> bool:
    """Wait until nothing is out, calls that running calls make meanwhile included; False when the time is over."""
    deadline_s = None if timeout_s is None else monotonic_s() + timeout_s
    while True:
        out = [each for session_id in session_ids for each in unfinished_calls(engine, session_id)]
        if not out:
            return True
        if not _wait_for_all(engine, out, deadline_s):
            return False


def _wait_for_all(engine: Engine, calls: Sequence[Completion], deadline_s: float | None) -> bool:
    if all(each.is_done() for each in calls):
        return True
    with engine.slot_released():
        return all(each.wait(None if deadline_s is None else deadline_s - monotonic_s()) for each in calls)


def _close_session(engine: Engine, session_id: str, lease: str, cancel: bool) -> bool:
    """Close it for this lease; is it closed now?"""
    try:
        view = engine.sessions.get(session_id)
        if view.state is SessionState.OPEN:
            view = engine.sessions.close(session_id, cancel=cancel, lease=lease)
    except (NotFound, InvalidState, InvalidArgument) as error:
        # closed by hand, or the engine itself has ended: what was wanted is so
        logger.debug("session close skipped session=%s reason=%s", session_id, error)
        return True
    return view.state is not SessionState.OPEN
