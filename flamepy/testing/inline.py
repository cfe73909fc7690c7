# SPDX-License-Identifier: Apache-2.0
"""An engine that runs each call at once, in the thread that makes it, with the code that workers run it with."""

from __future__ import annotations

import contextlib
import io
import threading
import time

from flamepy.codec.payload import Payload
from flamepy.codec.reading import decode_on_worker
from flamepy.core.task import TaskState
from flamepy.engine.api import EngineInfo, WorkerView
from flamepy.engine.completion import Outcome
from flamepy.engine.dependencies import failed_dependency, values_of, when_all_ended
from flamepy.engine.held_sessions import HeldCall
from flamepy.testing.hand_driven import HandDrivenEngine
from flamepy.worker.outcome import failed
from flamepy.worker.services.service import Service, load_service


class InlineEngine(HandDrivenEngine):
    """Implements ``engine.api.Engine`` without any process: a debugger steps into the call.

    Values, errors, state, streams and what a failed call does to an object are those of any engine. Calls run one
    after the other, so ``cancel`` comes too late, ``retries`` have nothing to retry, and nothing is isolated: a call
    that changes the working directory has changed yours.

    Example:
        >>> from flamepy import Runner
        >>> from flamepy.testing import InlineEngine
        >>> class Counter:
        ...     total = 0
        ...     def add(self, number):
        ...         self.total += number
        ...         return self.total
        >>> with InlineEngine(), Runner("docs") as runner:
        ...     counter = runner.service(Counter())
        ...     [counter.add(2).get(), counter.add(3).get()]
        [2, 5]
    """

    info = EngineInfo("inline")

    def __init__(self) -> None:
        super().__init__()
        self._services: dict[str, Service] = {}
        self._running = threading.RLock()  # one call at a time; a call may make calls

    def workers(self) -> list[WorkerView]:
        return []

    def _accepted(self, accepted: HeldCall) -> None:
        when_all_ended(accepted.call.dependencies, lambda: self._run(accepted))

    def _run(self, held: HeldCall) -> None:
        completion = held.completion
        with self._running:
            if completion.is_done():  # closed while it waited for its arguments
                return
            outcome = failed_dependency(held.call.dependencies)
            if outcome is None:
                completion.started_s = time.time()
                completion.enter(TaskState.RUNNING)
                outcome = self._outcome(held)
        completion.complete(outcome)

    def _outcome(self, held: HeldCall) -> Outcome:
        """Run the call. Lets an interrupt through, which is the test's own, after the call has ended with it."""
        began_s = time.monotonic()
        out, errors = io.StringIO(), io.StringIO()
        service = None
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
            try:
                service = self._service_of(held.completion.session_id)
                values = values_of(held.call.dependencies, self.objects)
                arguments = [decode_on_worker(each.payload(), "an argument") for each in values]
                request = decode_on_worker(_private(held.call.request), "the call", arguments)
                report = service.commit(service.invoke(request))
                outcome = Outcome(TaskState.SUCCEED, value=report.body, warning=report.warning)
            except BaseException as error:
                if service is not None:
                    service.roll_back()
                outcome = Outcome(TaskState.FAILED, failure=failed(error).body)
                if isinstance(error, KeyboardInterrupt):
                    held.completion.complete(outcome)
                    raise
        outcome.duration_s = time.monotonic() - began_s
        outcome.errors = errors.getvalue().encode()
        outcome.output = out.getvalue().encode() + outcome.errors
        return outcome

    def _service_of(self, session_id: str) -> Service:
        """The function or object of the session, made with its first call. Raises what its constructor raises."""
        service = self._services.get(session_id)
        if service is None:
            spec = self.sessions.record(session_id).spec
            definition = spec.definition if spec.definition is not None else Payload(spec.common_data or b"")
            service = self._services[session_id] = load_service(_private(definition), None)
        return service


def _private(payload: Payload) -> Payload:
    """With buffers of its own: what crosses to a worker does so as a copy."""
    return Payload(payload.data, [memoryview(bytearray(each)) for each in payload.buffers])
