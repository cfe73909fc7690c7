# SPDX-License-Identifier: Apache-2.0
"""How a cluster is: asked when somebody looks, at most once a second, and never waited for longer than they say."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Collection
from dataclasses import replace

from flamepy.clock import monotonic_s
from flamepy.core.cluster import ClusterView
from flamepy.core.session import SessionView
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.cluster.views import executors_of, nodes_of, why_waiting
from flamepy.errors import ConnectionLost, FlameError, NotFound, TlsFailed
from flamepy.wire import messages
from flamepy.wire.sessions import view_of

_FRESH_S = 1.0
_ANSWER_S = 5.0  # a cluster that needs longer for a list is not one that answers


async def survey(connection: Connection, own: Collection[str] = ()) -> ClusterView:
    """Ask it now. own: the sessions of this program. Raises FlameError."""
    began_s = monotonic_s()
    nodes = nodes_of((await connection.call("ListNodes", messages.ListNodesRequest(), patience_s=0)).nodes)
    answer_s = monotonic_s() - began_s
    listed = (await connection.call("ListExecutor", messages.ListExecutorRequest(), patience_s=0)).executors
    executors = executors_of(listed, own)
    sessions = [found for each in own if (found := await _session(connection, each)) is not None]
    return ClusterView(
        connection.endpoint,
        answer_s,
        nodes=nodes,
        executors=executors,
        waiting=why_waiting(nodes, executors, sessions),
    )


async def _session(connection: Connection, session_id: str) -> SessionView | None:
    request = messages.GetSessionRequest(session_id=session_id)
    try:
        return view_of(await connection.call("GetSession", request, patience_s=0))
    except NotFound:
        return None  # it was closed just now


def ask(connection: Connection, timeout_s: float) -> ClusterView:
    """How it is, or that it does not answer within ``timeout_s``.

    Raises FlameError for what is no cluster, TlsFailed where one side refuses the other.
    """
    try:
        return connection.ask(asyncio.wait_for(_survey_of_all(connection), timeout_s))
    except TlsFailed:
        raise
    except (ConnectionLost, TimeoutError, asyncio.TimeoutError) as error:
        return ClusterView(connection.endpoint, problem=problem_of(error) or f"no answer in {timeout_s:g} s")


async def _survey_of_all(connection: Connection) -> ClusterView:
    """With the sessions of all programs, which may be many."""
    view = await survey(connection)
    listed = (await connection.call("ListSession", messages.ListSessionRequest(), patience_s=0)).sessions
    return replace(view, sessions=sum(each.status.state == messages.SessionState.Open for each in listed))


def problem_of(error: Exception) -> str:
    """In a few words; "" = there was no answer in time."""
    return error.reason if isinstance(error, ConnectionLost) else str(error)


class Surveyor:
    """Knows how the cluster of a connection was last. own: gives the sessions of this program."""

    def __init__(self, connection: Connection, own: Callable[[], Collection[str]]) -> None:
        self._connection = connection
        self._own = own
        self._last = ClusterView(connection.endpoint)
        self._asked_s = self._answered_s = -_FRESH_S
        self._first_silent_s: float | None = None
        self._is_idle = threading.Event()
        self._is_idle.set()
        self._starting = threading.Lock()

    def latest(self, wait_s: float) -> ClusterView:
        """How it is; how it was, with how long ago, where it does not say so within ``wait_s``. From any thread."""
        with self._starting:
            if self._is_idle.is_set() and monotonic_s() - self._asked_s >= _FRESH_S:
                self._is_idle.clear()
                self._connection.post(lambda: self._connection.start(self._ask()))
        if not self._is_idle.wait(wait_s) and not self._last.problem:
            return self._silent(f"no answer in {monotonic_s() - self._asked_s:.1f} s")
        return self._silent(self._last.problem) if self._last.problem else self._last

    def _silent(self, problem: str) -> ClusterView:
        since_s = self._asked_s if self._first_silent_s is None else self._first_silent_s
        return replace(self._last, problem=problem, waiting="", silent_s=max(0.0, monotonic_s() - since_s))

    async def _ask(self) -> None:
        """In the event loop."""
        self._asked_s = monotonic_s()
        try:
            self._last = await asyncio.wait_for(survey(self._connection, self._own()), _ANSWER_S)
            self._first_silent_s = None
        except (FlameError, asyncio.TimeoutError) as error:
            if self._first_silent_s is None:
                self._first_silent_s = self._asked_s
            self._last = replace(self._last, problem=problem_of(error) or f"no answer in {_ANSWER_S:g} s")
        finally:
            self._is_idle.set()
