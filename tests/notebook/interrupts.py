# SPDX-License-Identifier: Apache-2.0
"""Interrupts a kernel exactly while a cell waits, and measures how long that takes to be felt.

A thread in the kernel looks where the main thread is and says when it has come to the place that the cell names, so
no test has to guess how long to wait before it interrupts.
"""

from __future__ import annotations

import time

from tests.notebook.kernels import Kernel, Reply

BOUND_S = 20.0

TELL = """
def tell(*places):
    import sys, threading
    main = threading.main_thread().ident
    def look():
        frame = None
        while frame is None:
            threading.Event().wait(0.001)
            frame = sys._current_frames()[main]
            while frame is not None and not any(
                frame.f_code.co_filename.endswith(file) and frame.f_code.co_name == name
                for file, name in (place.split(":") for place in places)
            ):
                frame = frame.f_back
        print("waiting\\n", end="", flush=True)  # one message
    threading.Thread(target=look, daemon=True).start()
"""

STUCK = """%%flame_service stuck
import threading
def stuck():
    threading.Event().wait()"""

# What a cell waits with -> the place where the main thread is then, and the cell.
BLOCKED, AWAITING = "engine/local/completion.py:wait", "selectors.py:select"
CELLS = {
    "get": (BLOCKED, "call.get()"),
    "wait": (BLOCKED, "call.wait()"),
    "await": (AWAITING, "await call"),
    "%flame_runner wait": (BLOCKED, "%flame_runner wait call"),
}
PACKAGING = ("packaging/archive.py:write_archive", "%flame_runner package")


def prepare(kernel: Kernel) -> None:
    """Load what the cells of this module need, and start a worker."""
    for cell in ("%load_ext flame_jupyter", TELL, STUCK):
        kernel.run(cell).check()


def interrupted(kernel: Kernel, place: str, cell: str) -> tuple[Reply, float]:
    """Run a cell, interrupt it once its main thread is at ``place``; its reply, and the seconds until it came."""
    message_id = kernel.begin(f"tell({place!r})\n{cell}")
    begun = kernel.finish(message_id, timeout_s=BOUND_S, until=lambda reply: "waiting" in reply.text)
    assert begun.status == "running", f"the cell has ended by itself: {begun.traceback or begun.text}"
    began_s = time.monotonic()
    kernel.interrupt()
    reply = kernel.finish(message_id, timeout_s=BOUND_S)
    return reply, time.monotonic() - began_s
