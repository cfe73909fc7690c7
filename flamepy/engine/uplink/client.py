# SPDX-License-Identifier: Apache-2.0
"""The worker's end of the uplink: implements ``Engine`` by asking the host engine that runs this call."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import queue
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from flamepy.cache.blob import Blob
from flamepy.core.cache import ObjectRef
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import FORKED, Call, CancelResult, WorkerView
from flamepy.engine.completion import INTERRUPT_CHECK_S, Completion, Outcome
from flamepy.engine.deferring import DeferringCompletion
from flamepy.engine.provisioner import MachineProvisioner
from flamepy.engine.uplink.asking import Reply
from flamepy.engine.uplink.parts import UplinkApplications, UplinkSessions, UplinkStore
from flamepy.engine.uplink.wire import FIRST_REQUEST, receive_message, send_message, short_address, with_blobs
from flamepy.errors import EngineForked, FlameError, InvalidState

logger = logging.getLogger(__name__)

_LAST_WORDS_S = 1.0  # how long to look for the reason why the host has closed the connection
_GONE = "the engine that runs this call is gone: nothing can be called from here any more."


class UplinkCompletion(DeferringCompletion):
    """A thread that waits for it leaves the worker's place to others."""

    __slots__ = ("_slot_released",)

    def __init__(
        self,
        session_id: str,
        task_id: str,
        name: str,
        slot_released: Callable[[], contextlib.AbstractContextManager[None]],
    ) -> None:
        super().__init__(session_id, task_id, name)
        self._slot_released = slot_released

    def wait(self, timeout_s: float | None = None) -> bool:
        if self.outcome is not None:
            return True
        with self._slot_released():
            return self.block(timeout_s)


class UplinkEngine:
    """One connection to the host; a thread of its own takes answers in. Safe from any thread."""

    def __init__(self, address: str) -> None:
        self._socket = _connected(address)
        self._sending = threading.Lock()
        self._ids = itertools.count(FIRST_REQUEST)
        self._replies: dict[int, Reply] = {}
        self._completions: weakref.WeakValueDictionary[tuple[str, str], UplinkCompletion] = (
            weakref.WeakValueDictionary()
        )
        # the program may have left a callback and nothing else: until its end a call lives without a future
        self._unfinished: dict[tuple[str, str], UplinkCompletion] = {}
        self._early: dict[tuple[str, str], tuple[Outcome | TaskState, tuple[float, float, float], list[Blob]]] = {}
        self._naming = threading.Lock()
        self._released: deque[tuple[str, str]] = deque()
        self._callbacks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._caller: threading.Thread | None = None
        self._is_closed = False
        self._is_forked = False  # is this a copy in a forked child?
        self._counting = threading.Lock()
        self._waiting_threads = 0  # of this process
        self._is_lost = False  # has the connection ended, and not by ``close``?
        self._end_reason: FlameError | None = None  # why it has, where that is known
        self._reader = threading.Thread(target=self._read, name="flame-uplink", daemon=True)
        self._reader.start()
        worker_id = int(os.environ.get("FLAME_WORKER_ID", "0"))
        try:
            self.info, endpoint, packages = self.ask("hello", worker_id, os.getpid()).value
        except BaseException:
            self.close()
            raise
        self.objects = UplinkStore(self.ask, endpoint)
        self.applications = UplinkApplications(self.ask)
        self.sessions = UplinkSessions(self.ask)
        self.provisioner = MachineProvisioner(Path(packages))

    @property
    def is_alive(self) -> bool:
        return not self._is_closed

    # --- requests and answers --------------------------------------------------------------------------------------

    def ask(self, method: str, *arguments: Any, blobs: list[Blob] | None = None) -> Reply:
        """Ask the host and wait for the answer. Raises the FlameError that the host raised."""
        request_id, answer = next(self._ids), Reply()
        self._replies[request_id] = answer
        try:
            try:
                self._tell(request_id, method, arguments, blobs or [])
            except FlameError:
                if self._is_forked or not answer.gate.acquire(timeout=_LAST_WORDS_S) or answer.error is None:
                    raise
            else:
                while not answer.gate.acquire(timeout=INTERRUPT_CHECK_S):  # the end of the connection releases it too
                    pass
        finally:
            self._replies.pop(request_id, None)
        if answer.error is not None:
            raise answer.error
        return answer

    def _tell(self, request_id: int, method: str, arguments: tuple[Any, ...], blobs: list[Blob]) -> None:
        if self._is_closed:
            raise EngineForked(FORKED) if self._is_forked else self._gone()
        try:
            with self._sending:
                if self._released:
                    names = [self._released.popleft() for _ in range(len(self._released))]
                    send_message(self._socket, (0, "release", (names,)))
                send_message(self._socket, (request_id, method, arguments), blobs)
        except OSError as error:
            raise self._gone() from error

    def _read(self) -> None:
        while (received := receive_message(self._socket)) is not None:
            (request_id, first, second), blobs, damage = received
            if request_id == 0:
                if second is None:  # it is not known which call it was about
                    self._end_reason = damage
                    break
                update, times = second
                if damage is not None and isinstance(update, Outcome):
                    update = Outcome(TaskState.FAILED, error=damage)
                self._take_update(first, update, times, blobs=blobs)
                continue
            first = damage or first
            answer = self._replies.pop(request_id, None)  # a gate opens once
            if answer is None:  # the host has turned the connection away before anything was asked
                self._end_reason = first
            else:
                answer.error, answer.value, answer.blobs = first, second, blobs
                answer.gate.release()
        self._end_what_waits()

    def _end_what_waits(self) -> None:
        """The connection has ended: no answer comes any more, and no update of any call."""
        with self._naming:
            self._is_lost = not self._is_closed
            self._is_closed = True
            unfinished = list(self._unfinished.values()) if self._is_lost else []
        while self._replies:
            _, answer = self._replies.popitem()
            answer.error = self._gone()
            answer.gate.release()
        for completion in unfinished:
            self._lose(completion)
        if self._is_lost:
            with contextlib.suppress(OSError):  # the host has gone first
                self._socket.shutdown(socket.SHUT_RDWR)

    def _lose(self, completion: UplinkCompletion) -> None:
        completion.complete(Outcome(TaskState.FAILED, error=self._gone()), self._call_back_later)
        self._unfinished.pop((completion.session_id, completion.task_id), None)

    def _gone(self) -> FlameError:
        """Why nothing can be asked any more."""
        return self._end_reason or InvalidState(_GONE)

    def _take_update(
        self,
        name: tuple[str, str],
        update: Outcome | TaskState,
        times: tuple[float, float, float],
        *,
        blobs: list[Blob],
    ) -> None:
        """A call has entered another state, or ended."""
        with self._naming:
            completion = self._completions.get(name)
            if completion is None:  # the update are here before the answer to submit was looked at
                self._early[name] = (update, times, blobs)
                return
        self._apply(completion, update, times, blobs)

    def _apply(
        self,
        completion: UplinkCompletion,
        update: Outcome | TaskState,
        times: tuple[float, float, float],
        blobs: list[Blob],
    ) -> None:
        completion.created_s, completion.started_s, _ = times
        if isinstance(update, Outcome):
            completion.complete(with_blobs(update, blobs), self._call_back_later)
            self._unfinished.pop((completion.session_id, completion.task_id), None)
        elif completion.state is not update:
            completion.enter(update)

    def _call_back_later(self, callback: Callable[[], object]) -> None:
        """Other people's code may wait for other calls, so it must not run in the thread that reads of their end."""
        self._callbacks.put(callback)
        if self._caller is None:
            self._caller = threading.Thread(target=self._run_callbacks, name="flame-uplink-callbacks", daemon=True)
            self._caller.start()

    def _run_callbacks(self) -> None:
        while (callback := self._callbacks.get()) is not None:
            try:
                callback()
            except BaseException:
                logger.exception("done callback failed callback=%r", callback)

    def _hold(self, session_id: str, task_id: str, name: str) -> UplinkCompletion:
        key = (session_id, task_id)
        with self._naming:
            known = self._completions.get(key)
            if known is not None:
                return known
            completion = UplinkCompletion(session_id, task_id, name, self.slot_released)
            self._completions[key] = self._unfinished[key] = completion
            early = self._early.pop(key, None)
            is_lost = self._is_lost
        weakref.finalize(completion, self._released.append, key).atexit = False
        if early is not None:
            self._apply(completion, *early)
        if is_lost and completion.outcome is None:
            self._lose(completion)
        return completion

    # --- Engine ----------------------------------------------------------------------------------------------------

    def submit(self, session_id: str, call: Call) -> Completion:
        dependencies = [
            dependency if isinstance(dependency, ObjectRef) else (dependency.session_id, dependency.task_id)
            for dependency in call.dependencies
        ]
        task_id = self.ask(
            "submit", session_id, dependencies, call.name, call.retries, call.input, blobs=[Blob.of(call.request)]
        ).value
        return self._hold(session_id, task_id, call.name or session_id)

    def task(self, session_id: str, task_id: str) -> Completion:
        return self._hold(session_id, task_id, self.ask("task", session_id, task_id).value)

    def pin(self, completion: Completion) -> None:
        self.ask("pin", completion.session_id, completion.task_id)

    def watch(self, session_id: str, task_id: str) -> Iterator[Task]:
        completion = self.task(session_id, task_id)
        task = self.sessions.task(session_id, task_id)
        if not task.state.is_terminal():
            yield task
            completion.wait()
            task = self.sessions.task(session_id, task_id)
        yield task

    def cancel(self, completion: Completion) -> CancelResult:
        result: CancelResult = self.ask("cancel", completion.session_id, completion.task_id).value
        return result

    def output(self, completion: Completion) -> bytes:
        if completion.outcome is not None:
            return completion.outcome.output
        output: bytes = self.ask("output", completion.session_id, completion.task_id).value
        return output

    @contextlib.contextmanager
    def slot_released(self) -> Iterator[None]:
        """The host starts another worker in place of this one, as long as a thread of this process waits."""
        self._count_waiting(1)
        try:
            yield
        finally:
            self._count_waiting(-1)

    def _count_waiting(self, step: int) -> None:
        with self._counting:
            before, self._waiting_threads = self._waiting_threads, self._waiting_threads + step
            if bool(before) == bool(self._waiting_threads):
                return
            try:
                self._tell(0, "waiting", (bool(self._waiting_threads),), [])
            except InvalidState:
                if self._is_forked:
                    raise
                # else the host is gone: it lends no worker any more, and what is waited for ends with the reason

    def workers(self) -> Sequence[WorkerView]:
        views: Sequence[WorkerView] = self.ask("call", "workers").value
        return views

    def cluster(self, *, wait_s: float) -> None:
        """Not known in a call: it has one worker, wherever that is."""

    @property
    def worker_limit(self) -> None:
        """The process decides that has started the workers."""

    def resize(self, workers: int) -> None:
        raise InvalidState(
            "the workers of this engine cannot be resized from inside a call: "
            "set their number in the program that started it (FLAME_WORKERS)."
        )

    def close(self, *, grace_s: float = 5.0) -> None:
        """Close the connection. The host engine goes on."""
        self._is_closed = True
        with contextlib.suppress(OSError):  # the host has gone first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join(grace_s)
        self._callbacks.put(None)
        if self._caller is not None:
            self._caller.join(grace_s)
        self._socket.close()

    def abandon_in_child(self) -> None:
        """In a forked child: the connection is the parent's."""
        self._is_closed = self._is_forked = True
        self._counting = threading.Lock()  # a thread that is not here may hold it
        self._socket.close()


def _connected(address: str) -> socket.socket:
    """Raises InvalidState when the host cannot be reached, FlameError when this process may open no more files."""
    with contextlib.ExitStack() as undo:
        try:
            connection = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
            with short_address(address) as name:
                connection.connect(name)
        except FileNotFoundError as error:
            raise InvalidState(
                f"the engine cannot be reached from this call: {address} was removed from the temporary directory. "
                "Create the Runner again outside of the call, and have nothing clean that directory while it is open."
            ) from error
        except OSError as error:
            if lacks_descriptors(error):
                raise too_few_descriptors("the engine cannot be reached from this call") from error
            raise InvalidState(_GONE) from error
        undo.pop_all()
    return connection
