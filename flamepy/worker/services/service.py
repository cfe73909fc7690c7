# SPDX-License-Identifier: Apache-2.0
"""What a worker keeps for a session: the function or the object that calls are made on."""

from __future__ import annotations

from typing import Any, Protocol

from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.codec.reading import decode_on_worker
from flamepy.errors import InvalidArgument
from flamepy.protocol import frames
from flamepy.protocol.report import Report
from flamepy.protocol.stream_step import StreamClose, StreamStep
from flamepy.runner.types import RunnerContext, RunnerRequest, kind_of
from flamepy.worker.services.state import StatefulObject
from flamepy.worker.services.stream import Streams, result_of


class Service(Protocol):
    """invoke, then commit or roll_back: commit turns the value into a report, together with the state it belongs to."""

    def invoke(self, request: object) -> object: ...

    def commit(self, value: object) -> Report: ...

    def roll_back(self) -> None: ...


class Stateless:
    """A function, or a class of which each worker has an object of its own."""

    def __init__(self, target: Any) -> None:
        self._target = target() if kind_of(target) == "class" else target
        self._streams = Streams()

    def invoke(self, request: object) -> object:
        return answer(self._target, request, self._streams)

    def commit(self, value: object) -> Report:
        report = Report(frames.OK, result_of(value))
        self._streams.settle()
        return report

    def roll_back(self) -> None:
        """No state to undo; but a generator whose step has failed goes no further."""
        self._streams.fail()


class Stateful:
    """One object; after every call its state is saved together with the result, or the call has not happened."""

    def __init__(self, target: Any, checkpoint: Payload | None) -> None:
        self._state = StatefulObject(target, checkpoint)
        self._streams = Streams()

    def invoke(self, request: object) -> object:
        return answer(self._state.current, request, self._streams)

    def commit(self, value: object) -> Report:
        body = result_of(value)
        new_state, warning = self._state.changes()
        report = Report(frames.OK, body, None if new_state is None else Blob.of(new_state), warning)
        self._state.saved(new_state)
        self._streams.settle()
        return report

    def roll_back(self) -> None:
        self._streams.fail()  # first, because its clean-up may touch the object
        self._state.roll_back()


def load_service(definition: Payload, checkpoint: Payload | None) -> Service:
    """Build what a session was opened with; the state comes from ``checkpoint`` when an earlier worker was lost."""
    context = decode_on_worker(definition, "the service")
    if not isinstance(context, RunnerContext):
        raise InvalidArgument(
            f"the session's common data is {type(context).__name__}, not a RunnerContext: "
            "open it through Runner.service, or pickle flamepy.runner.types.RunnerContext into common_data."
        )
    if context.stateful:
        return Stateful(context.execution_object, checkpoint)
    return Stateless(context.execution_object)


def answer(target: Any, request: object, streams: Streams) -> object:
    """Make the call, or the step of a stream."""
    if isinstance(request, StreamStep):
        return streams.step(request, target, call_on)
    if isinstance(request, StreamClose):
        streams.close(request)
        return None
    return call_on(target, request)


def call_on(target: Any, request: object) -> object:
    """Call the target itself, or its method. Raises InvalidArgument for what is no request of ours."""
    if type(request) is tuple and len(request) == 3:
        method, args, kwargs = request
    elif isinstance(request, RunnerRequest):
        method, args, kwargs = request.method, request.args, request.kwargs
    else:
        raise InvalidArgument(
            f"the task's input is {type(request).__name__}, not a RunnerRequest: "
            "call through a service of Runner, or pickle flamepy.runner.types.RunnerRequest into it."
        )
    function = target if method is None else getattr(target, method)  # what the object refuses is an AttributeError
    return function(*(args or ()), **(kwargs or {}))
