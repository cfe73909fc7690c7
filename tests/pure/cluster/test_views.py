# SPDX-License-Identifier: Apache-2.0
"""Why calls that were sent wait on a cluster: in words, from what the cluster says of itself."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone

import pytest

from flamepy.core.cluster import ClusterView, ExecutorView, NodeView
from flamepy.core.session import Event, SessionState, SessionView
from flamepy.engine.cluster.calls.prospects import BIND_FAILED, BIND_GIVEN_UP
from flamepy.engine.cluster.views import why_waiting

NODES = (NodeView("a", is_ready=True, slots=2), NodeView("b", is_ready=False, slots=8))


def session(*events: tuple[int, str], pending: int = 1) -> SessionView:
    return SessionView(
        id="mine",
        application="app",
        state=SessionState.OPEN,
        creation_time=datetime.now(timezone.utc),
        pending=pending,
        events=tuple(Event(code, message) for code, message in events),
    )


def executor(session_id: str, state: str = "bound", *, is_own: bool = True) -> ExecutorView:
    return ExecutorView("a", session_id, state, is_own)


MINE, SIBLING, FOREIGN = executor("mine"), executor("sibling"), executor("foreign", is_own=False)
NO_PYTHON = (BIND_FAILED, "Executor 1 on node a failed:\n  no python3.12")


@pytest.mark.parametrize(
    ("nodes", "executors", "waits", "reason"),
    [
        pytest.param(NODES, [], session(pending=0), "", id="none waits"),
        pytest.param((), [], session(), "it has no node", id="no node"),
        pytest.param(NODES[1:], [], session(), "none of its 1 nodes is ready", id="no node is ready"),
        pytest.param(NODES, [FOREIGN], session(), "the cluster is about to give it an executor", id="there is room"),
        pytest.param(
            NODES, [FOREIGN, FOREIGN], session(), "all 2 slots are taken, 2 by other programs", id="others have all"
        ),
        pytest.param(
            NODES,
            [SIBLING, FOREIGN],
            session(),
            "all 2 slots are taken, 1 by other services of this program and 1 by other programs",
            id="others and we have all",
        ),
        pytest.param(
            NODES,
            [executor("old", "unbinding")],
            session(),
            "for 1 of 1 executors to leave their sessions",
            id="one leaves, or hangs",
        ),
        pytest.param(NODES, [executor("mine", "binding")], session(), "a worker starts on a", id="one starts"),
        pytest.param(NODES, [MINE, MINE], session(), "the service's 2 executors are busy", id="its own are busy"),
        pytest.param(
            NODES,
            [],
            session(NO_PYTHON, NO_PYTHON),
            "no worker starts so far after 2 attempts: Executor 1 on node a failed: no python3.12",
            id="workers do not start",
        ),
        pytest.param(
            NODES,
            [],
            session(NO_PYTHON, (BIND_GIVEN_UP, "")),
            "no worker starts, and the cluster has given up after 1 attempt: "
            "Executor 1 on node a failed: no python3.12",
            id="the cluster has given up",
        ),
        pytest.param(NODES, [MINE], session(NO_PYTHON), "the service's 1 executor is busy", id="one has started since"),
    ],
)
def test_calls_wait_for_a_reason(
    nodes: Sequence[NodeView], executors: Sequence[ExecutorView], waits: SessionView, reason: str
) -> None:
    assert why_waiting(nodes, executors, [waits]) == reason


def test_what_several_services_wait_for_is_said_once() -> None:
    busy = [executor("other"), FOREIGN]
    assert why_waiting(NODES, busy, [session(), session()]).count("slots are taken") == 1


def test_a_view_counts_what_it_shows() -> None:
    view = ClusterView(
        "http://c:1", nodes=NODES, executors=(MINE, SIBLING, FOREIGN, executor("", "idle", is_own=False))
    )
    assert (view.slots, view.own, view.others, view.own_by_node) == (2, 2, 1, {"a": 2})
