# SPDX-License-Identifier: Apache-2.0
"""The frames between the embedded engine and its workers: fixed heads, shared by both ends.

Calls go down one packet socket per worker, several small ones in one packet. Results come back through one pipe that
all workers share: a frame of at most PIPE_BUF bytes is written atomically, so frames never mix and a killed worker
never leaves half a frame. What is larger, or carries descriptors, follows on the worker's own socket ("away") and the
pipe only announces it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

PIPE_FRAME_BYTES = 4096  # PIPE_BUF on Linux; POSIX guarantees that writes up to it are atomic
PACKET_BYTES = 96 * 1024  # the largest message on a worker's socket; longer bodies travel in a segment
FDS_PER_PACKET = 250  # the kernel takes at most 253 (SCM_MAX_FD)
OUTPUT_ON_DISK_BYTES = 4 * 1024 * 1024  # beyond it all but the end of a worker's output is dropped
OUTPUT_TAIL_BYTES = 64 * 1024  # what is kept of one call's output: the end is what people need

# Waking a process on another processor takes 20 us and more, several times what a small call takes. Who got its
# last message within HOT_S looks for the next one for SPIN_S before it sleeps; who waits for longer sleeps at once.
HOT_S = 150e-6
SPIN_S = 80e-6

# engine -> worker
# a PATH is followed by the blob of a pickled import path, an AUTHKEY by the key of multiprocessing
CALL, LEAVE, FORGET, KEEP, PATH, AUTHKEY = 1, 2, 3, 4, 5, 6
HAS_DEFINITION, HAS_CHECKPOINT, BODY_AWAY, IS_PLAIN = 1, 2, 4, 8
# kind, flags, session number, sending number, number of dependencies, bytes of a plain request
# A plain call is the head and the bytes of its request, nothing else: only such calls share a packet.
CALL_HEAD = struct.Struct("<BBxxIQII")
# kind, recall number, sending number of the call that the worker keeps: what it holds besides is taken back
KEEP_HEAD = struct.Struct("<BxxxxxxxQQ")

# worker (or zygote) -> engine
RESULT, RESULT_AWAY, WORKER_EXIT, WAKE, BIRTH = 1, 2, 3, 4, 5  # the number of a WORKER_EXIT or BIRTH is the pid
_FRAME_KINDS = frozenset({RESULT, RESULT_AWAY, WORKER_EXIT, WAKE, BIRTH})
OK, FAILED, CANCELLED = 0, 1, 2
HAS_NEW_STATE, HAS_WARNING, HAS_OUTPUT, HAS_ERRORS = 1, 2, 4, 16  # and IS_PLAIN: the body is the value's bytes alone
# frame length, kind, status, flags, importing in 10 ms, worker id, sending number, duration in s
RESULT_HEAD = struct.Struct("<HBBBxHIQd")
TICK_S = 0.01
MAX_TICKS = 0xFFFF

WAKE_FRAME = RESULT_HEAD.pack(RESULT_HEAD.size, WAKE, 0, 0, 0, 0, 0, 0.0)

WORD = struct.Struct("<Q")

# the status table: one slot of 64-bit words per worker in shared memory; each word has one writer
STATUS_SLOTS = 1024
SLOT_WORDS = 4
# sending number of the call begun last and of the one to interrupt; recalls made; where its output begins in the file
CURRENT_CALL, INTERRUPTED, RECALL_GENERATION, OUTPUT = 0, 1, 2, 3


class ResultHead(NamedTuple):
    length: int
    kind: int
    status: int
    flags: int
    importing_ticks: int
    worker_id: int
    number: int
    duration_s: float


_new = tuple.__new__  # what ResultHead._make does at twice the cost


def split_frames(data: bytes) -> tuple[list[tuple[ResultHead, bytes]], bytes]:
    """Cut what was read from the result pipe into (head, body) frames and the incomplete rest.

    Raises ValueError for what is no frame.
    """
    frames = []
    offset = 0
    while len(data) - offset >= RESULT_HEAD.size:
        head = _new(ResultHead, RESULT_HEAD.unpack_from(data, offset))
        if head.kind not in _FRAME_KINDS or not RESULT_HEAD.size <= head.length <= PIPE_FRAME_BYTES:
            raise ValueError(f"no frame begins with {data[offset : offset + RESULT_HEAD.size].hex()}")
        if len(data) - offset < head.length:
            break
        frames.append((head, data[offset + RESULT_HEAD.size : offset + head.length]))
        offset += head.length
    return frames, data[offset:]
