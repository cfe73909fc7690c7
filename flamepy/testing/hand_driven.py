# SPDX-License-Identifier: Apache-2.0
"""An engine whose calls end when the test says so, and how."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flamepy.cache.api import ObjectStore
from flamepy.cache.blob import Blob
from flamepy.cache.store import MemoryStore
from flamepy.codec.pickling import encode
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Call, CancelResult, Capability, EngineInfo, WorkerView
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.current import use_engine
from flamepy.engine.held_sessions import HeldCall, PlainSessions, cancelled
from flamepy.engine.provisioner import MachineProvisioner
from flamepy.errors import InvalidState, NotFound
from flamepy.testing.registries import PlainApplications
from flamepy.worker.outcome import failed

if TYPE_CHECKING:
    from typing_extensions import Self

_numbers = itertools.count(1)


class HandDrivenEngine:
    """Implements ``engine.api.Engine``. Calls stay where they are until ``begin`` and ``end``.

    ``with`` it, it is the engine of this process, and closed at the end.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.testing import HandDrivenEngine
        >>> with HandDrivenEngine() as engine, Runner("docs") as runner:
        ...     future = runner.service(len)("four")
        ...     before = future.state
        ...     engine.end(engine.calls()[0], 4)
        ...     (before, future.state, future.get())
        ('queued', 'succeeded', 4)
    """

    info = EngineInfo("hand-driven", capabilities=frozenset({Capability.CANCEL_RUNNING}))
    worker_limit = None

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="flame-testing-"))
        self.objects: ObjectStore = MemoryStore(
            f"local://testing-{next(_numbers)}", memory_limit_bytes=None, spill_directory=None
        )
        self.provisioner = MachineProvisioner(self._directory / "packages")
        self.sessions = PlainSessions()
        self.applications = PlainApplications(self.sessions, self._forget_objects)
        self._is_closed = False
        self._in_use = contextlib.ExitStack()

    def _forget_objects(self, prefix: str) -> None:
        self.objects.delete(prefix)  # the store may have been exchanged

    def __enter__(self) -> Self:
        self._in_use.enter_context(use_engine(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._in_use.close()
        self.close()

    # --- what the test does

    def calls(self) -> list[Completion]:
        """Those that have not ended, in the order in which they were made."""
        found = [each for session in list(self.sessions.records.values()) for each in session.unfinished()]
        return [each.completion for each in found]

    def begin(self, completion: Completion) -> None:
        """A worker begins the call.

        Args:
            completion: Of the call, from ``calls()``.
        """
        completion.started_s = completion.created_s
        completion.enter(TaskState.RUNNING)

    def end(self, completion: Completion, value: object = None) -> None:
        """The call gives a value.

        Args:
            completion: Of the call, from ``calls()``.
            value: What it gives; by default None.
        """
        self.end_with(completion, Outcome(TaskState.SUCCEED, value=Blob.of(encode(value, what="the value"))))

    def fail(self, completion: Completion, error: BaseException) -> None:
        """The call raises an error, as user code does.

        Args:
            completion: Of the call, from ``calls()``.
            error: What it raises.
        """
        self.end_with(completion, Outcome(TaskState.FAILED, failure=failed(error).body))

    def end_with(self, completion: Completion, outcome: Outcome) -> None:
        """The call ends in whatever way.

        Args:
            completion: Of the call, from ``calls()``.
            outcome: Value or failure, output and times.
        """
        completion.complete(outcome)

    # --- Engine

    @property
    def is_alive(self) -> bool:
        return not self._is_closed

    def submit(self, session_id: str, call: Call) -> Completion:
        if self._is_closed:
            raise InvalidState("this engine is closed: make another one.")
        accepted = self.sessions.accept(session_id, call)
        self._accepted(accepted)
        return accepted.completion

    def _accepted(self, accepted: HeldCall) -> None:
        """A call has come in."""

    def task(self, session_id: str, task_id: str) -> Completion:
        return self.sessions.call(session_id, task_id).completion

    def pin(self, completion: Completion) -> None:
        self.sessions.record(completion.session_id).pinned.add(completion.task_id)

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        completion = self.task(session_id, task_id)
        yield self.sessions.task(session_id, task_id)
        if not completion.is_done():
            completion.wait()
            yield self.sessions.task(session_id, task_id)

    def cancel(self, completion: Completion) -> CancelResult:
        if completion.is_done():
            return CancelResult.ENDED
        completion.complete(Outcome(TaskState.CANCELLED))
        return CancelResult.CANCELLED

    def output(self, completion: Completion) -> bytes:
        return b"" if completion.outcome is None else completion.outcome.output

    def slot_released(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def workers(self) -> Sequence[WorkerView]:
        return []

    def cluster(self, *, wait_s: float) -> None:
        """Calls run in the process of the test."""

    def resize(self, workers: int) -> None:
        raise InvalidState(f"the {self.info.kind} engine has no workers to resize: it is for tests.")

    def abandon_in_child(self) -> None:
        """Nothing here belongs to a process."""

    def close(self, *, grace_s: float = 5.0) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        for completion in self.calls():
            completion.complete(cancelled(completion.name, "flamepy was shut down."))
        for session in list(self.sessions.records):
            with contextlib.suppress(NotFound):
                self.sessions.close(session, cancel=True)
        shutil.rmtree(self._directory, ignore_errors=True)
