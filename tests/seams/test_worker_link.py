# SPDX-License-Identifier: Apache-2.0
"""What an engine keeps of each worker: the ends of its sockets, its output, its slot in the status table."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from flamepy.engine.local.link.status_table import WorkerStatusTable
from flamepy.engine.local.link.worker_link import WorkerLink
from flamepy.protocol.frames import STATUS_SLOTS


def test_a_link_that_is_closed_again_closes_nothing_of_others(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    output_fd = os.open(tmp_path / "output", os.O_CREAT | os.O_RDWR)
    link = WorkerLink(ours, theirs, output_fd)
    link.close()
    taken = os.open(tmp_path / "another", os.O_CREAT | os.O_RDWR)  # most likely by the same number
    link.close()
    assert os.fstat(taken).st_size == 0
    os.close(taken)


def test_workers_never_share_a_slot_and_a_new_one_finds_nothing_of_the_worker_before() -> None:
    table = WorkerStatusTable()
    table.ask_to_interrupt(0, 7)
    table.recall(0)
    taken: set[int] = set()
    for slot in iter(lambda: table.cleared(taken), None):
        assert slot not in taken
        taken.add(slot)
    assert len(taken) == STATUS_SLOTS
    assert table.cleared(taken - {3}) == 3
    assert table.recall(0) == (1, 0)
    table.close()
