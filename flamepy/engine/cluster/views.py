# SPDX-License-Identifier: Apache-2.0
"""What a cluster says of nodes and executors, as records; and what calls that were sent wait for there. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flamepy.core.cluster import ExecutorView, NodeView
from flamepy.core.session import SessionView
from flamepy.engine.cluster.calls.prospects import BIND_FAILED, BIND_GIVEN_UP
from flamepy.wire import messages

_STATES = {
    messages.ExecutorState.ExecutorVoid: "starting",
    messages.ExecutorState.ExecutorIdle: "idle",
    messages.ExecutorState.ExecutorBinding: "binding",
    messages.ExecutorState.ExecutorBound: "bound",
    messages.ExecutorState.ExecutorUnbinding: "unbinding",
    messages.ExecutorState.ExecutorReleasing: "releasing",
}
_SOON = "the cluster is about to give it an executor"
_MAX_REASON_CHARS = 300  # a worker's traceback is for the doctor's reader to scroll in the logs of the node


def nodes_of(nodes: Iterable[messages.Node]) -> tuple[NodeView, ...]:
    return tuple(
        NodeView(
            each.metadata.name or each.spec.hostname,
            each.status.state == messages.NodeState.Ready,
            int(each.status.allocatable.cpu),
        )
        for each in nodes
    )


def executors_of(executors: Iterable[messages.Executor], own: Collection[str]) -> tuple[ExecutorView, ...]:
    """own: the sessions of this program. Those that have been given back are left out."""
    return tuple(
        ExecutorView(each.spec.node, each.status.session_id, _STATES[each.status.state], each.status.session_id in own)
        for each in executors
        if each.status.state in _STATES
    )


def why_waiting(
    nodes: Collection[NodeView], executors: Collection[ExecutorView], sessions: Iterable[SessionView]
) -> str:
    """Why tasks of this program's ``sessions`` wait on the cluster; "" = none does."""
    reasons = [_why(nodes, executors, each) for each in sessions if each.pending]
    return "; ".join(dict.fromkeys(reasons))


def _why(nodes: Collection[NodeView], executors: Collection[ExecutorView], session: SessionView) -> str:
    ready = [each for each in nodes if each.is_ready]
    if not ready:
        return f"none of its {len(nodes)} nodes is ready" if nodes else "it has no node"
    mine = [each for each in executors if each.session_id == session.id]
    if failure := _bind_failure(session, is_served=any(each.state == "bound" for each in mine)):
        return failure
    if starting := [each for each in mine if each.state in ("starting", "binding")]:
        return f"a worker starts on {starting[0].node}"
    if mine:
        busy = "1 executor is" if len(mine) == 1 else f"{len(mine)} executors are"
        return f"the service's {busy} busy"
    slots, taken = sum(each.slots for each in ready), [each for each in executors if each.session_id]
    if len(taken) < slots:
        leaving = [each for each in taken if each.state in ("unbinding", "releasing")]
        return f"for {len(leaving)} of {len(taken)} executors to leave their sessions" if leaving else _SOON
    own = sum(each.is_own for each in taken)
    by = [f"{own} by other services of this program"] if own else []
    by += [f"{len(taken) - own} by other programs"] if len(taken) > own else []
    return f"all {slots} slots are taken, {' and '.join(by)}"


def _bind_failure(session: SessionView, *, is_served: bool) -> str:
    """Why workers of the session do not start, in the cluster's own words; "" = they do."""
    failures = [each for each in session.events if each.code == BIND_FAILED]
    if is_served or not failures:
        return ""
    said = " ".join((failures[-1].message or "it does not say why").split())
    given_up = any(each.code == BIND_GIVEN_UP for each in session.events)
    tried = "no worker starts, and the cluster has given up" if given_up else "no worker starts so far"
    short = said if len(said) <= _MAX_REASON_CHARS else f"{said[:_MAX_REASON_CHARS]}..."
    return f"{tried} after {len(failures)} attempt{'' if len(failures) == 1 else 's'}: {short}"
