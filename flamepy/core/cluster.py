# SPDX-License-Identifier: Apache-2.0
"""A Flame cluster as it says it is: nodes, executors, and what calls wait for there."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True)
class NodeView:
    """A machine of a cluster.

    Attributes:
        name: As the cluster calls it.
        is_ready: Does it take executors?
        slots: How many executors of one CPU it has room for.
    """

    name: str
    is_ready: bool
    slots: int


@dataclass(frozen=True)
class ExecutorView:
    """A place of a node that is in use: a process that runs the calls of one session.

    Attributes:
        node: Where it is.
        session_id: Of the session that it serves; "" = of none, it can be had.
        state: In the cluster's word, in small letters, such as ``bound``.
        is_own: Does it run calls of this program?
    """

    node: str
    session_id: str
    state: str
    is_own: bool


@dataclass(frozen=True)
class ClusterView:
    """A snapshot of a cluster, for status displays.

    Attributes:
        endpoint: Its address.
        answer_s: How long its last answer took.
        silent_s: For how long it has not answered; 0 = it answers. What is said of the rest is then so old.
        problem: Why it does not answer, in a few words; "" = it does.
        nodes: Its machines.
        executors: The places of those that are in use.
        sessions: How many are open, of all programs; None = that was not asked.
        waiting: Why calls of this program that have been sent wait there; "" = none does.
    """

    endpoint: str
    answer_s: float = 0.0
    silent_s: float = 0.0
    problem: str = ""
    nodes: tuple[NodeView, ...] = ()
    executors: tuple[ExecutorView, ...] = ()
    sessions: int | None = None
    waiting: str = ""

    @property
    def slots(self) -> int:
        """Of the nodes that are ready."""
        return sum(each.slots for each in self.nodes if each.is_ready)

    @property
    def own(self) -> int:
        """The executors that run calls of this program."""
        return sum(each.is_own for each in self.executors)

    @property
    def others(self) -> int:
        """The executors that other programs have."""
        return sum(bool(each.session_id) and not each.is_own for each in self.executors)

    @property
    def own_by_node(self) -> dict[str, int]:
        """How many executors run calls of this program on each node, most first."""
        return dict(Counter(each.node for each in self.executors if each.is_own).most_common())
