# SPDX-License-Identifier: Apache-2.0
"""How much memory processes use, with what they share counted once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import psutil

_BLOCK_BYTES = 512  # of st_blocks


def helpers_bytes() -> int:
    """Of all processes that this one has started, each page divided by those that share it (PSS)."""
    return sum(_proportional_bytes(each) for each in psutil.Process().children(recursive=True))


def bytes_of_all() -> int:
    """Of this process and all below it: private pages, and memory files once, also where nobody maps them."""
    tree = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(_private_bytes(each) for each in tree) + _memory_file_bytes(tree)


def _proportional_bytes(process: psutil.Process) -> int:
    memory = process.memory_full_info()
    return int(getattr(memory, "pss", memory.uss))  # macOS does not know PSS


def _private_bytes(process: psutil.Process) -> int:
    """Anonymous pages. Memory files that are mapped are not among them."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    except OSError:  # no Linux
        return int(process.memory_full_info().uss)
    return sum(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss_Anon:"))


def _memory_file_bytes(tree: list[psutil.Process]) -> int:
    used: dict[tuple[int, int], int] = {}
    for process in tree:
        directory = f"/proc/{process.pid}/fd"
        with contextlib.suppress(OSError):  # it has ended, or this is no Linux
            for name in os.listdir(directory):
                path = f"{directory}/{name}"
                with contextlib.suppress(OSError):  # closed meanwhile
                    if os.readlink(path).startswith(("/memfd:", "/dev/shm/")):
                        status = os.stat(path)
                        used[status.st_dev, status.st_ino] = status.st_blocks * _BLOCK_BYTES
    return sum(used.values())
