# SPDX-License-Identifier: Apache-2.0
"""The host's end of the uplink: calls that run on the engine may use it themselves.

A worker connects when its call first needs the engine; each connection has a thread that serves requests in turn
and one that sends answers, because the engine's own thread, which reports ends of calls, must not block.
"""

from __future__ import annotations

import contextlib
import logging
import operator
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from flamepy.cache.blob import Blob, blob_of
from flamepy.core.application import Application, ApplicationAttributes
from flamepy.core.cache import ObjectRef
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.core.task import TaskState
from flamepy.engine.api import Call, CancelResult, Capability, Engine, EngineInfo, SessionSpec
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.deferring import DeferringCompletion
from flamepy.engine.uplink.wire import FIRST_REQUEST, receive_message, send_message, short_address, without_blobs
from flamepy.errors import FlameError, FlameErrorCode

logger = logging.getLogger(__name__)

_Message = tuple[tuple[Any, ...], list[Blob]]


class HostEngine(Engine, Protocol):
    """An engine that starts the workers itself. package_directory: for packages without configured storage."""

    package_directory: Path

    def set_worker_waiting(self, worker_id: int, is_waiting: bool) -> None:
        """A worker's call begins or ends to wait for other calls."""
        ...

    def end_leases_of(self, worker_id: int, pid: int, leases: Sequence[str]) -> None:
        """The process that had these leases has ended."""
        ...


class UplinkHost:
    """Listens; ``accept`` is called by the engine's thread when a worker connects."""

    def __init__(self, engine: HostEngine, address: str) -> None:
        self.address = address
        self._engine = engine
        self._listener = _listening_at(address)
        self._spare_fd = _spare_descriptor()  # given up to turn a connection away; -1 = given up
        self._connections: set[_Connection] = set()
        self._lock = threading.Lock()

    def fileno(self) -> int:
        return self._listener.fileno()

    def restore(self) -> None:
        """Be found again at the address, when a cleaner of the temporary directory has removed it. Raises OSError."""
        if not os.path.exists(self.address):
            while self.accept():  # who has connected already would be cut off
                pass
            with contextlib.closing(_listening_at(self.address)) as listener:
                os.dup2(listener.fileno(), self._listener.fileno(), inheritable=False)  # the loop polls this number

    def accept(self) -> bool:
        """Take the next connection; False when there is none."""
        try:
            peer, _ = self._listener.accept()
        except OSError as error:
            if lacks_descriptors(error):
                self._turn_away()
            return False
        peer.setblocking(True)
        connection = _Connection(self._engine, peer, self._forget)
        with self._lock:
            self._connections.add(connection)
        try:
            connection.start()
        except RuntimeError:  # no thread can be started: the other end must not wait for one
            self._forget(connection)
            connection.abandon()
            raise
        return True

    def _turn_away(self) -> None:
        """This process may open no more files: end the connection at once, or its call would wait for an answer."""
        spare_fd, self._spare_fd = self._spare_fd, -1
        if spare_fd >= 0:
            os.close(spare_fd)
        with contextlib.suppress(OSError), self._listener.accept()[0] as peer:
            reason = too_few_descriptors("the engine cannot take another connection")
            send_message(peer, (FIRST_REQUEST, reason, None))
        with contextlib.suppress(OSError):  # another thread may have been faster: next time there is none to spare
            self._spare_fd = _spare_descriptor()

    def _forget(self, connection: _Connection) -> None:
        with self._lock:
            self._connections.discard(connection)

    def close(self) -> None:
        """Close the listener and every connection, and wait for their threads."""
        self._listener.close()
        if self._spare_fd >= 0:
            os.close(self._spare_fd)
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close()

    def abandon(self) -> None:
        """In a forked child: close copies of descriptors only."""
        self._listener.close()
        if self._spare_fd >= 0:
            os.close(self._spare_fd)
        for connection in self._connections:
            connection.abandon()


def _spare_descriptor() -> int:
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


def _listening_at(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with short_address(address) as name:
            listener.bind(name)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class _Connection:
    """One worker's (or its child's) way into the engine."""

    def __init__(self, engine: HostEngine, peer: socket.socket, on_end: Callable[[_Connection], None]) -> None:
        self._engine = engine
        self._peer = peer
        self._on_end = on_end
        self._worker_id = self._pid = 0
        self._leases: set[str] = set()  # what the other end has not given back
        self._held: dict[tuple[str, str], Completion] = {}  # what the other end still has futures of
        self._outbox: queue.SimpleQueue[_Message | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._serve, name="flame-uplink-reader", daemon=True)
        self._writer = threading.Thread(target=self._send, name="flame-uplink-writer", daemon=True)

    def start(self) -> None:
        self._reader.start()
        self._writer.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        for thread in (self._reader, self._writer):
            thread.join(5.0)

    def abandon(self) -> None:
        self._peer.close()

    def _send(self) -> None:
        while (message := self._outbox.get()) is not None:
            try:
                try:
                    send_message(self._peer, *message)
                except FlameError as error:  # there is no room for it: that is told in its place
                    send_message(self._peer, _instead(message[0], error))
            except (OSError, FlameError) as error:  # the worker has ended
                logger.debug("uplink send failed worker=%d error=%s", self._worker_id, error)
                with contextlib.suppress(OSError):
                    self._peer.shutdown(socket.SHUT_RDWR)
                return

    def _serve(self) -> None:
        while (received := receive_message(self._peer)) is not None:
            (request_id, method, arguments), blobs, damage = received
            out: list[Blob] = []
            message: tuple[Any, ...]
            try:
                if damage is not None:
                    raise damage
                answer = getattr(self, f"_do_{method}")(blobs, out, *arguments)
                message = (request_id, None, answer)
            except FlameError as error:
                message = (request_id, error, None)
            except Exception as error:  # noqa: BLE001 - a bug here must reach the caller, who would wait for ever
                message = (request_id, _told(method, error), None)
            if request_id:
                self._outbox.put((message, out))
        self._held.clear()
        if self._leases:
            with contextlib.suppress(FlameError):  # the engine itself ends
                self._engine.end_leases_of(self._worker_id, self._pid, sorted(self._leases))
        self._outbox.put(None)
        self._writer.join(5.0)
        self._peer.close()
        self._on_end(self)

    # --- requests: (blobs in, blobs out, arguments) -> answer ------------------------------------------------------

    def _do_hello(self, _in: list[Blob], _out: list[Blob], worker_id: int, pid: int) -> tuple[EngineInfo, str, str]:
        self._worker_id, self._pid = worker_id, pid
        info = self._engine.info
        as_seen = replace(info, capabilities=info.capabilities - {Capability.RESIZE})
        return as_seen, self._engine.objects.endpoint, str(self._engine.package_directory)

    def _do_call(self, _in: list[Blob], _out: list[Blob], method: str, *arguments: Any) -> Any:
        """The methods that take and give plain records."""
        return _PLAIN_METHODS[method](self._engine)(*arguments)

    def _do_lease(
        self,
        _in: list[Blob],
        _out: list[Blob],
        lease_id: str,
        name: str,
        attributes: ApplicationAttributes | None,
        must_be_new: bool,
    ) -> Application:
        application = self._engine.applications.lease(lease_id, name, attributes, must_be_new=must_be_new)
        self._leases.add(lease_id)
        return application

    def _do_end_lease(self, _in: list[Blob], _out: list[Blob], lease_id: str) -> bool:
        self._leases.discard(lease_id)
        return self._engine.applications.end_lease(lease_id)

    def _do_create_session(self, blobs: list[Blob], _out: list[Blob], session_id: str, spec: SessionSpec) -> Any:
        return self._engine.sessions.create(session_id, _with_definition(spec, blobs))

    def _do_open_session(self, blobs: list[Blob], _out: list[Blob], session_id: str, spec: SessionSpec | None) -> Any:
        return self._engine.sessions.open(session_id, None if spec is None else _with_definition(spec, blobs))

    def _do_close_session(self, _in: list[Blob], _out: list[Blob], session_id: str, cancel: bool, lease: str) -> Any:
        return self._engine.sessions.close(session_id, cancel=cancel, lease=lease)

    def _do_submit(
        self,
        blobs: list[Blob],
        _out: list[Blob],
        session_id: str,
        dependencies: list[tuple[str, str] | ObjectRef],
        name: str,
        retries: int,
        task_input: bytes | None,
    ) -> str:
        resolved = [
            dependency if isinstance(dependency, ObjectRef) else self._completion(*dependency)
            for dependency in dependencies
        ]
        call = Call(blobs[0].payload(), resolved, name, retries, task_input)
        return self._hold(self._engine.submit(session_id, call))

    def _do_task(self, _in: list[Blob], _out: list[Blob], session_id: str, task_id: str) -> str:
        completion = self._completion(session_id, task_id)
        self._hold(completion)
        return completion.name

    def _do_release(self, _in: list[Blob], _out: list[Blob], names: list[tuple[str, str]]) -> None:
        for name in names:
            self._held.pop(name, None)

    def _do_pin(self, _in: list[Blob], _out: list[Blob], session_id: str, task_id: str) -> None:
        self._engine.pin(self._completion(session_id, task_id))

    def _do_cancel(self, _in: list[Blob], _out: list[Blob], session_id: str, task_id: str) -> CancelResult:
        return self._engine.cancel(self._completion(session_id, task_id))

    def _do_output(self, _in: list[Blob], _out: list[Blob], session_id: str, task_id: str) -> bytes:
        return self._engine.output(self._completion(session_id, task_id))

    def _do_waiting(self, _in: list[Blob], _out: list[Blob], is_waiting: bool) -> None:
        self._engine.set_worker_waiting(self._worker_id, is_waiting)

    def _do_put(self, blobs: list[Blob], _out: list[Blob], key: str) -> ObjectRef:
        return self._engine.objects.put_value(key, blobs[0])

    def _do_patch(self, blobs: list[Blob], _out: list[Blob], ref: ObjectRef) -> ObjectRef:
        return self._engine.objects.patch(ref, blobs[0].payload())

    def _do_delete(self, _in: list[Blob], _out: list[Blob], prefix: str) -> None:
        self._engine.objects.delete(prefix)

    def _do_get_object(self, _in: list[Blob], out: list[Blob], ref: ObjectRef) -> int:
        stored = self._engine.objects.get(ref)
        out += [blob_of(each) for each in (stored.base, *stored.patches)]
        return stored.version

    # --- futures of the other end ----------------------------------------------------------------------------------

    def _hold(self, completion: Completion) -> str:
        self._held[completion.session_id, completion.task_id] = completion
        completion.on_change(lambda: self._tell_state(completion))
        self._tell_state(completion)
        _at_once(completion, lambda: self._tell_end(completion))
        return completion.task_id

    def _completion(self, session_id: str, task_id: str) -> Completion:
        held = self._held.get((session_id, task_id))
        return self._engine.task(session_id, task_id) if held is None else held

    def _tell_state(self, completion: Completion) -> None:
        if completion.outcome is None:
            times = (completion.created_s, completion.started_s, 0.0)
            self._outbox.put(((0, (completion.session_id, completion.task_id), (completion.state, times)), []))

    def _tell_end(self, completion: Completion) -> None:
        if completion.outcome is None:
            return
        blobs: list[Blob] = []
        outcome = without_blobs(completion.outcome, blobs)
        times = (completion.created_s, completion.started_s, completion.finished_s)
        self._outbox.put(((0, (completion.session_id, completion.task_id), (outcome, times)), blobs))


# What a call may ask of the engine besides: by name, so that nothing else of it can be reached.
_PLAIN_METHODS: dict[str, Callable[[Engine], Callable[..., Any]]] = {
    name: operator.attrgetter(name)
    for name in (
        "applications.register", "applications.unregister", "applications.get", "applications.list",
        "sessions.get", "sessions.list", "sessions.create_like", "sessions.common_data", "sessions.task",
        "sessions.tasks", "workers",
    )
}  # fmt: skip


def _at_once(completion: Completion, callback: Callable[[], object]) -> None:
    if isinstance(completion, DeferringCompletion):
        completion.on_done_at_once(callback)
    else:
        completion.on_done(callback)


def _instead(content: tuple[Any, ...], error: FlameError) -> tuple[Any, ...]:
    """What is sent when an answer, or the news of a call, cannot be."""
    request_id, first, second = content
    if request_id:
        return request_id, error, None
    return 0, first, (Outcome(TaskState.FAILED, error=error), second[1])


def _told(method: str, error: Exception) -> FlameError:
    if lacks_descriptors(error):
        return too_few_descriptors(f"the engine cannot {method.replace('_', ' ')}")
    return FlameError(FlameErrorCode.INTERNAL, f"{method} failed: {error!r}")


def _with_definition(spec: SessionSpec, blobs: list[Blob]) -> SessionSpec:
    return replace(spec, definition=blobs[0].payload()) if blobs else spec
