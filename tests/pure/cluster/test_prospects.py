# SPDX-License-Identifier: Apache-2.0
"""When a task that waits can never begin, and when it just has to wait for others."""

from __future__ import annotations

import pytest

from flamepy.engine.cluster.calls.prospects import hindrance
from flamepy.wire import messages

READY, LOST = messages.NodeState.Ready, messages.NodeState.NotReady
IDLE, BOUND, LEAVING = (
    messages.ExecutorState.ExecutorIdle,
    messages.ExecutorState.ExecutorBound,
    messages.ExecutorState.ExecutorUnbinding,
)


@pytest.mark.parametrize(
    ("nodes", "executors", "why"),
    [
        pytest.param([], [], "it has no node", id="no node"),
        pytest.param([LOST, LOST], [(BOUND, "theirs")], "none of its 2 nodes is ready", id="no node answers"),
        pytest.param([LOST, READY], [], "", id="an executor can be started"),
        pytest.param([READY], [(BOUND, "theirs")], "", id="others use what there is"),
        pytest.param([READY], [(BOUND, "ours")], "", id="it has one"),
        pytest.param([READY], [(LEAVING, "old"), (BOUND, "theirs")], "", id="others will give theirs back"),
        pytest.param([READY], [(LEAVING, "old"), (BOUND, "ours")], "", id="it has one beside one that hangs"),
        pytest.param([READY], [(LEAVING, "old"), (IDLE, "")], "1 of its 2 executors hang", id="one starves it"),
        pytest.param([READY], [(BOUND, "lost"), (LEAVING, "lost")], "2 of its 2 executors hang", id="both are lost"),
    ],
)
def test_why_nothing_can_take_a_task(
    nodes: list[messages.NodeState], executors: list[tuple[messages.ExecutorState, str]], why: str
) -> None:
    there = [messages.Node(status=messages.NodeStatus(state=state)) for state in nodes]
    present = [
        messages.Executor(status=messages.ExecutorStatus(state=state, session_id=session))
        for state, session in executors
    ]
    found = hindrance(there, present, "ours", ["lost"])
    assert found.startswith(why) if why else found == ""
