# SPDX-License-Identifier: Apache-2.0
"""What a worker leaves to the engine is given back once, also where that is done again after a fault."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from flamepy.engine.local.link.status_table import WorkerStatusTable
from flamepy.engine.local.link.worker_link import WorkerLink


def test_a_link_that_is_closed_again_closes_nothing_of_others(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    output_fd = os.open(tmp_path / "output", os.O_CREAT | os.O_RDWR)
    link = WorkerLink(ours, theirs, output_fd)
    link.close()
    taken = os.open(tmp_path / "another", os.O_CREAT | os.O_RDWR)  # most likely by the same number
    link.close()
    assert os.fstat(taken).st_size == 0
    os.close(taken)


def test_a_slot_that_is_given_back_again_is_given_out_once() -> None:
    table = WorkerStatusTable()
    slot = table.take()
    assert slot is not None
    table.give_back(slot)
    table.give_back(slot)
    assert table.take() != table.take()
    table.close()
