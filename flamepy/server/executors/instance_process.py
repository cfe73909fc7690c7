# SPDX-License-Identifier: Apache-2.0
"""The process of a worker, from its start to the end of everything that it has started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from flamepy.errors import describe_exit
from flamepy.server.executors.guard import Guard

TERM_S = 2.0  # for a worker that is told to end, and for what it has started
_LOOK_S = 0.01  # how often to look whether a group has ended
_WORDS_BYTES = 4096  # of the end of what a worker wrote to its standard error; enough for the last lines
_WORDS_LINES = 3


class InstanceProcess:
    """One worker. ``exited`` gives its exit code, as ``subprocess`` counts it."""

    def __init__(self, process: asyncio.subprocess.Process, logs: Sequence[Path], guard: Guard) -> None:
        self._process = process
        self._logs = logs
        self._guard = guard
        self.exited: asyncio.Task[int] = asyncio.create_task(process.wait())

    @classmethod
    async def start(
        cls, command: Sequence[str], *, environ: Mapping[str, str], directory: Path, log: Path, guard: Guard
    ) -> InstanceProcess:
        """log: where its output goes, with ``.out`` and ``.err`` behind. Raises OSError."""
        logs = (log.with_suffix(".out"), log.with_suffix(".err"))
        directory.mkdir(parents=True, exist_ok=True)
        with open(logs[0], "wb") as out, open(logs[1], "wb") as err:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environ,
                cwd=directory,
                start_new_session=True,  # signals go to it with all that it starts, and a terminal's do not
            )
        guard.add(process.pid)
        return cls(process, logs, guard)

    @property
    def pid(self) -> int:
        return self._process.pid

    def last_words(self) -> str:
        """How it ended, if it has, and the last lines that it wrote to its standard error."""
        code = self._process.returncode
        told = "" if code is None else f"worker {self.pid} ended ({describe_exit(code)})"
        lines: list[str] = []
        with contextlib.suppress(OSError), open(self._logs[1], "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - _WORDS_BYTES))
            lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
        return ": ".join(part for part in (told, " | ".join(lines[-_WORDS_LINES:])) if part)

    async def end(self) -> None:
        """Have it end with all that it has started, and kill what takes too long. Its output is gone then."""
        if self._signal(signal.SIGTERM):
            try:
                await asyncio.wait_for(self._until_gone(), TERM_S)
            except asyncio.TimeoutError:
                self._signal(signal.SIGKILL)
        await asyncio.wait({self.exited}, timeout=TERM_S)  # a hanging disk keeps also one that was killed
        if self.exited.done():
            self._guard.drop(self.pid)
        for log in self._logs:
            log.unlink(missing_ok=True)

    async def _until_gone(self) -> None:
        await asyncio.shield(self.exited)
        while self._signal(0):  # noqa: ASYNC110 - who starts processes is not told of their ends
            await asyncio.sleep(_LOOK_S)

    def _signal(self, number: int) -> bool:
        """To its whole group; False when no process is left in it."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True
