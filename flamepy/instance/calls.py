# SPDX-License-Identifier: Apache-2.0
"""The calls of a task: run by the embedded engine of this process, and reported."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from flamepy.codec.framed import nbytes_of, parts_of
from flamepy.codec.payload import Payload
from flamepy.core.names import short_name
from flamepy.core.task import TaskState
from flamepy.engine.api import Call, SessionSpec
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.errors import ExecutorLost, FlameError, NotFound, StateLost
from flamepy.instance.attendance import LOOK_S, Attendance
from flamepy.instance.cache_access import CacheAccess
from flamepy.protocol.cluster import packets
from flamepy.protocol.cluster.attendance import begun_of
from flamepy.protocol.cluster.packets import RemoteCall, RemoteReport
from flamepy.protocol.cluster.parcels import Parcel

logger = logging.getLogger(__name__)

_ARGUMENTS = "instance/arguments"  # where arguments lie in the cache of the embedded engine, while their call runs


@dataclass
class _Opened:
    """A service in the engine of this process. generation: of its state."""

    session_id: str
    generation: int


class Calls:
    """One task at a time. application: under whose name the engine knows the files that were unpacked here."""

    def __init__(self, engine: EmbeddedEngine, cache: CacheAccess, application: str) -> None:
        self._engine = engine
        self._cache = cache
        self._application = application
        self._opened: dict[str, _Opened] = {}  # by the caller's name of the service

    def run(self, data: bytes) -> bytes:
        """The output of the task with this input. Raises FlameError for what cannot be read."""
        packet_id, calls = packets.calls_of(data)
        refusal = self._refusal(packet_id)
        if refusal is not None:
            return packets.task_output([_refused(each, refusal(each.name)) for each in calls])
        begun = [(each, self._begin(each)) for each in calls]
        self._wait(packet_id, begun)
        return packets.task_output([self._report(each, started) for each, started in begun])

    def _refusal(self, packet_id: str) -> Callable[[str], FlameError] | None:
        """Why the calls of the packet must not begin here, of each by its name."""
        try:
            if self._cache.count(begun_of(packet_id)) == 1:
                return None
        except FlameError as error:
            cause = error
            return lambda _: cause
        return lambda name: ExecutorLost(name, "the cluster handed it over a second time")

    def _wait(self, packet_id: str, begun: Sequence[tuple[RemoteCall, Completion | FlameError]]) -> None:
        """Until all have ended."""
        running = {call.number: each for call, each in begun if isinstance(each, Completion)}
        attendance = Attendance(self._engine, self._cache, packet_id, running)
        for number, each in running.items():
            while not each.wait(LOOK_S):
                attendance.look(number)

    def _begin(self, call: RemoteCall) -> Completion | FlameError:
        try:
            self._open(call)
            arguments = [self._engine.objects.put(_ARGUMENTS, self._cache.payload(each)) for each in call.arguments]
            request = self._cache.payload(call.request)
            try:
                return self._engine.submit(self._opened[call.service].session_id, Call(request, arguments, call.name))
            finally:
                for each in arguments:  # the call has its own hold on them
                    self._engine.objects.delete(each.key)
        except FlameError as error:
            return error

    def _open(self, call: RemoteCall) -> None:
        """Have the service there, in the state that the call goes on from."""
        known = self._opened.get(call.service)
        if known is not None and (not call.is_stateful or known.generation == call.generation):
            return
        checkpoint = self._state(call)
        if known is not None:
            self._engine.sessions.close(known.session_id, cancel=True)
        session_id = call.service if known is None else short_name(call.service)
        self._engine.sessions.create(
            session_id,
            SessionSpec(
                self._application,
                self._cache.payload(call.definition),
                is_stateful=call.is_stateful,
                max_instances=1 if call.is_stateful else None,
                name=call.name,
                checkpoint=checkpoint,
            ),
        )
        self._opened[call.service] = _Opened(session_id, call.generation)

    def _state(self, call: RemoteCall) -> Payload | None:
        """The state that the call goes on from, None = as the definition makes it. Raises StateLost."""
        if call.state is None:
            if call.generation:
                raise StateLost(call.name, "it was in the memory of that worker alone")
            return None
        try:
            return self._cache.payload(call.state)
        except NotFound as error:
            raise StateLost(call.name, "the object cache has dropped it") from error

    def _report(self, call: RemoteCall, started: Completion | FlameError) -> RemoteReport:
        if isinstance(started, FlameError):
            return _refused(call, started)
        outcome = started.outcome
        assert outcome is not None, "it has been waited for"
        try:
            return self._told(call, outcome)
        except FlameError as error:  # the cache has no room for the value
            return _refused(call, error)

    def _told(self, call: RemoteCall, outcome: Outcome) -> RemoteReport:
        if outcome.error is not None:
            status, body = (
                packets.CANCELLED if outcome.state is TaskState.CANCELLED else packets.REFUSED,
                self._cache.parcel(_pickled(outcome.error)),
            )
        else:
            value = outcome.value or outcome.failure
            assert value is not None, "see Outcome"
            status = packets.OK if outcome.value is not None else packets.FAILED
            body = self._cache.parcel(value.payload())
        new_state, generation = self._new_state(call, outcome)
        return RemoteReport(
            call.number, status, body, new_state, generation, outcome.warning, outcome.output, outcome.errors,
            outcome.duration_s, outcome.importing_s,
        )  # fmt: skip

    def _new_state(self, call: RemoteCall, outcome: Outcome) -> tuple[Parcel | None, int]:
        """What the caller must know to go on from here."""
        if not call.is_stateful:
            return None, 0
        if outcome.value is None:  # it has gone back to the state before
            return None, call.generation
        opened = self._opened[call.service]
        opened.generation = generation = call.generation + 1
        if outcome.warning:
            return None, generation
        checkpoint = self._engine.sessions.checkpoint(opened.session_id)
        return None if checkpoint is None else self._cache.parcel(checkpoint.payload()), generation


def _refused(call: RemoteCall, error: FlameError) -> RemoteReport:
    parts = parts_of(_pickled(error))
    return RemoteReport(call.number, packets.REFUSED, Parcel(nbytes_of(parts), b"".join(parts)), None, call.generation)


def _pickled(error: FlameError) -> Payload:
    return Payload(pickle.dumps(error))
