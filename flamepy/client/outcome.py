# SPDX-License-Identifier: Apache-2.0
"""How a task ended -> its output bytes, or the error that its caller sees."""

from __future__ import annotations

import copy

from flamepy.codec.payload import Payload
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.errors import CallCancelled, DependencyFailed, FlameError, TaskFailed
from flamepy.protocol.failure import Failure


def output_of(outcome: Outcome) -> bytes | None:
    """The output of a task that succeeded; None when its service returned None."""
    return None if outcome.value is None else _in_one_piece(outcome.value.payload())


def error_of(outcome: Outcome, name: str) -> FlameError | None:
    """Why the task has no output; None when it has one. A fresh error each time, so that tracebacks never mix."""
    if outcome.state is TaskState.SUCCEED:
        return None
    if outcome.error is not None:
        error = copy.copy(outcome.error)
        error.__cause__ = outcome.error.__cause__
        return error
    if outcome.failed_dependency is not None:
        cause = error_of(outcome.failed_dependency, "the call before it")
        failed = DependencyFailed(name, type(cause).__name__, str(cause))
        failed.__cause__ = cause
        return failed
    if outcome.failure is not None:
        return _task_failed(outcome.failure.payload(), name)
    if outcome.state is TaskState.CANCELLED:
        return CallCancelled(f"{name} was cancelled before it had an output: run it again when you need it.")
    return TaskFailed(name, "FlameError", "the engine gave no reason: this is a bug in flamepy, please report it.")


def _task_failed(failure: Payload, name: str) -> TaskFailed:
    from flamepy.codec.pickling import decode

    account = decode(failure)
    assert isinstance(account, Failure)
    return TaskFailed(name, account.type_name, account.message, account.traceback_text)


def _in_one_piece(payload: Payload) -> bytes:
    """The bytes that a client of 0.6 expects: one pickle stream, whose big buffers lie inside it."""
    if not payload.buffers:
        return bytes(payload.data)
    import cloudpickle

    from flamepy.codec.pickling import decode

    return bytes(cloudpickle.dumps(decode(payload)))
