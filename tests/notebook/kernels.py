# SPDX-License-Identifier: Apache-2.0
"""A real kernel, driven through jupyter_client as a front end does."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager

START_S = 60.0
CELL_S = 60.0
LEAVE_S = 5.0  # the promise: five seconds after the end of a kernel, however it ended, nothing is left
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Reply:
    """What a cell gave: the status of the reply, and its outputs, colours removed."""

    status: str
    text: str = ""
    traceback: str = ""
    ename: str = ""
    data: list[dict[str, str]] = field(default_factory=list)

    def check(self) -> Reply:
        assert self.status == "ok", self.traceback or self.text
        return self


class Kernel:
    """A kernel whose working directory, home and directory for temporary files belong to the test."""

    def __init__(self, cwd: Path, home: Path, environment: Path | None = None) -> None:
        """environment: a directory that goes first on the kernel's path, with another version of ipykernel."""
        self.project = cwd
        self.temporary = home / "kernel-tmp"
        self.temporary.mkdir(exist_ok=True)
        self._manager = KernelManager()
        self._manager._kernel_spec = KernelSpec(
            argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            display_name="test",
            language="python",
        )
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLAME_")}
        env = {**inherited, "HOME": str(home), "TMPDIR": str(self.temporary), "IPYTHONDIR": str(home / "ipython")}
        if environment is not None:
            env["PYTHONPATH"] = str(environment)
        self._manager.start_kernel(cwd=str(cwd), env=env)
        self.client: BlockingKernelClient = self._manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=START_S)
        pid = self.run("import os; print(os.getpid())").text
        self.process = psutil.Process(int(pid))
        self._is_ended = False
        self._seen: set[psutil.Process] = set()

    def run(self, code: str, *, timeout_s: float = CELL_S) -> Reply:
        """Run a cell to its end."""
        return self.finish(self.begin(code), timeout_s=timeout_s)

    def begin(self, code: str, *, is_person: bool = False) -> str:
        """Send a cell; returns the id of the message. is_person: as a front end does it, not as a program."""
        return str(self.client.execute(code, allow_stdin=is_person))

    def send(self, kind: str, content: dict[str, Any], *, subshell_id: str | None = None) -> str:
        """Send any message on the shell channel; returns its id."""
        message = self.client.session.msg(kind, content)
        if subshell_id is not None:
            message["header"]["subshell_id"] = subshell_id
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def ask(self, kind: str, content: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a message on the control channel; the content of its reply."""
        message = self.client.session.msg(kind, content or {})
        self.client.control_channel.send(message)
        while True:
            reply = self.client.get_control_msg(timeout=CELL_S)
            if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
                return dict(reply["content"])

    def until(self, is_it: Callable[[dict[str, Any]], bool], *, timeout_s: float = CELL_S) -> dict[str, Any]:
        """The first message to front ends that is the one looked for, whoever its parent is."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            message: dict[str, Any] = self.client.get_iopub_msg(timeout=max(deadline_s - time.monotonic(), 0.01))
            if is_it(message):
                return message

    def finish(
        self, message_id: str, *, timeout_s: float = CELL_S, until: Callable[[Reply], bool] | None = None
    ) -> Reply:
        """Collect what a cell gives until it has ended, or until what it has given so far is enough."""
        reply = Reply("running")
        deadline_s = time.monotonic() + timeout_s
        while True:
            message = self.client.get_iopub_msg(timeout=max(deadline_s - time.monotonic(), 0.01))
            if message["parent_header"].get("msg_id") != message_id:
                continue
            _take(reply, message["msg_type"], message["content"])
            if until is not None and until(reply):
                return reply
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
        reply.status = self.answer(message_id, timeout_s=max(deadline_s - time.monotonic(), 0.01))["status"]
        return reply

    def answer(self, message_id: str, *, timeout_s: float = CELL_S) -> dict[str, Any]:
        """The content of the reply to a message on the shell channel.

        ipykernel 7.0 to 7.3 may never read what comes while it sends one (ipython/ipykernel#1554): wait for it first.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            reply = self.client.get_shell_msg(timeout=max(deadline_s - time.monotonic(), 0.01))
            if reply["parent_header"].get("msg_id") == message_id:
                return dict(reply["content"])

    def interrupt(self) -> None:
        self._manager.interrupt_kernel()

    def kill(self) -> None:
        """SIGKILL to the kernel alone, as the out-of-memory killer does it."""
        self.note_processes()
        self.process.kill()

    def note_processes(self) -> list[psutil.Process]:
        """The processes that the kernel has started and that live now."""
        alive = self.process.children(recursive=True)
        self._seen.update(alive)
        return alive

    def end(self) -> None:
        """Shut the kernel down as a front end does. Idempotent."""
        if self._is_ended:
            return
        self._is_ended = True
        if self.process.is_running():
            self.note_processes()
        self.client.stop_channels()
        self._manager.shutdown_kernel(now=False)
        self._manager.cleanup_resources()

    def assert_nothing_is_left(self) -> None:
        """Within the bound: no process of the kernel, and no temporary directory of ours."""
        _, alive = psutil.wait_procs(list(self._seen), timeout=LEAVE_S)
        assert not alive, f"processes are left: {alive}"
        # one of those processes removes the directories, and it ends after that
        assert not list(self.temporary.glob("flame-*")), "temporary directories are left"


def _take(reply: Reply, kind: str, content: dict[str, Any]) -> None:
    if kind == "stream":
        reply.text += content["text"]
    elif kind == "error":
        reply.ename = content["ename"]
        reply.traceback = _ANSI.sub("", "\n".join(content["traceback"]))
    elif kind in ("execute_result", "display_data", "update_display_data"):
        reply.data.append(content["data"])
