# SPDX-License-Identifier: Apache-2.0
"""Can a task that waits begin at all? A cluster keeps it pending also where nothing will ever take it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from flamepy.wire import messages

BIND_FAILED, BIND_GIVEN_UP = 1001, 1002  # codes of session events


def hindrance(
    nodes: Iterable[messages.Node], executors: Iterable[messages.Executor], session_id: str, abandoned: Collection[str]
) -> str:
    """Why nothing can take a task of the session, "" = something can, or another session uses what could.

    abandoned: sessions whose executor was lost. One that hangs while it leaves its session counts as free for the
    cluster, which then starts no other one for a session that needs a single one.
    """
    there = list(nodes)
    if not any(each.status.state == messages.NodeState.Ready for each in there):
        return f"none of its {len(there)} nodes is ready" if there else "it has no node"
    present = list(executors)
    if any(each.status.session_id == session_id for each in present):
        return ""
    hanging = [each for each in present if _hangs(each, abandoned)]
    if not hanging or any(_is_busy(each) for each in present if each not in hanging):
        return ""
    return f"{len(hanging)} of its {len(present)} executors hang in sessions that have ended"


def _hangs(executor: messages.Executor, abandoned: Collection[str]) -> bool:
    is_leaving = executor.status.state == messages.ExecutorState.ExecutorUnbinding
    return is_leaving or executor.status.session_id in abandoned


def _is_busy(executor: messages.Executor) -> bool:
    return executor.status.state in (
        messages.ExecutorState.ExecutorBinding,
        messages.ExecutorState.ExecutorBound,
        messages.ExecutorState.ExecutorReleasing,
    )
