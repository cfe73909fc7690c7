# SPDX-License-Identifier: Apache-2.0
"""Every error that flamepy raises on purpose: one root, one class per cause, each message ends with the cure.

The class says who can fix it. ``args`` are the constructor's arguments, so that every error survives
pickling; the code that raises keeps the foreign cause with ``from``.
"""

from __future__ import annotations

import concurrent.futures
import pickle
import signal
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar

__all__ = [
    "AlreadyExists",
    "CallCancelled",
    "CallTimeout",
    "DependencyFailed",
    "EngineFailed",
    "EngineForked",
    "ExecutorLost",
    "FlameError",
    "FlameErrorCode",
    "InvalidArgument",
    "InvalidConfig",
    "InvalidState",
    "NotFound",
    "NotPicklable",
    "PackageError",
    "RunnerClosed",
    "StateLost",
    "StreamLost",
    "TaskFailed",
    "WorkerLost",
]


class FlameErrorCode(IntEnum):
    """The coarse kind of an error, as 0.6 numbers it.

    Attributes:
        INVALID_CONFIG: The configuration is wrong.
        INVALID_STATE: It comes at the wrong time.
        INVALID_ARGUMENT: Something was passed that cannot work.
        INTERNAL: Everything else, such as the failure of a call.
        ALREADY_EXISTS: The name is taken.
        NOT_FOUND: There is nothing of that name.
    """

    INVALID_CONFIG = 0
    INVALID_STATE = 1
    INVALID_ARGUMENT = 2
    INTERNAL = 3
    ALREADY_EXISTS = 4
    NOT_FOUND = 5


class FlameError(Exception):
    """The root of all errors that flamepy raises on purpose.

    Attributes:
        code: The coarse kind.
        message: What, where, and how to get out.
    """

    code: FlameErrorCode
    message: str

    def __init__(self, code: FlameErrorCode, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class _Kind(FlameError):
    """An error whose class fixes its code; its only argument is the message."""

    kind: ClassVar[FlameErrorCode] = FlameErrorCode.INTERNAL

    def __init__(self, message: str) -> None:
        super().__init__(self.kind, message)
        self.args = (message,)


class InvalidConfig(_Kind):
    """The configuration file or the environment is wrong: the person who wrote it can fix it."""

    kind = FlameErrorCode.INVALID_CONFIG


class InvalidState(_Kind):
    """The call comes at the wrong time: something is closed, or not open yet."""

    kind = FlameErrorCode.INVALID_STATE


class InvalidArgument(_Kind):
    """The caller passed something that cannot work."""

    kind = FlameErrorCode.INVALID_ARGUMENT


class AlreadyExists(_Kind):
    """The name is taken."""

    kind = FlameErrorCode.ALREADY_EXISTS


class NotFound(_Kind):
    """No application, session, task or object of that name."""

    kind = FlameErrorCode.NOT_FOUND


class RunnerClosed(InvalidState):
    """A call on a Runner, a service or a future after ``close()``."""


class EngineFailed(InvalidState):
    """The engine had to end, with all calls that were out. The next Runner starts a new one."""


class EngineForked(InvalidState):
    """The process was forked: the child cannot use the parent's workers."""


class PackageError(InvalidArgument):
    """The project directory cannot be packaged or stored."""


class NotPicklable(InvalidArgument, pickle.PicklingError):
    """A value cannot travel to a worker or back. The message names the culprit."""


class CallTimeout(_Kind, TimeoutError):
    """``get`` or ``wait`` gave up; the call itself goes on."""


class RemoteTraceback(Exception):
    """Carries the worker's traceback text to where Python prints causes. ``str`` is the text, indented.

    call: whose it is, the function or ``Class.method``; further: what is told below it.
    """

    def __init__(self, text: str, call: str = "", further: str = "") -> None:
        super().__init__(text, call, further)
        self.text = text
        self.call = call
        self.further = further

    def __str__(self) -> str:
        where = f"in the call of {self.call}, on a worker" if self.call else "in the worker"
        told = f"{where}:\n" + "\n".join(f"  | {line}" for line in self.text.rstrip().splitlines())
        return f"{told}\n{self.further}" if self.further else told


RemoteTraceback.__module__ = "flamepy"  # what a traceback prints before the name


@dataclass(frozen=True)
class FrameInfo:
    """One frame of the worker's traceback. ``line``: its source line, "" where the worker cannot know it."""

    filename: str
    lineno: int
    function: str
    qualname: str
    line: str = ""


class TaskFailed(FlameError):
    """A call ended with an error.

    Raised as a class that is the user's as well: text, args and attributes are those of the exception that the call
    raised. What is added to it has names that begin with ``flame_``.

    Attributes:
        flame_call: The function or ``Class.method``.
        flame_type_name: Of the exception in the worker.
        flame_detail: Its message.
        flame_traceback: The worker's traceback; "" when there is none.
        flame_frames: The frames of that in the user's code, outermost first, each a ``FrameInfo``.

    Example:
        >>> from flamepy import Runner, TaskFailed
        >>> def invert(number):
        ...     return 1 / number
        >>> with Runner("docs") as runner:
        ...     error = runner.service(invert)(0).exception()
        >>> isinstance(error, TaskFailed), isinstance(error, ZeroDivisionError), error.flame_call, str(error)
        (True, True, 'invert', 'division by zero')
    """

    # of the class, for one that user code makes by calling the class of another: ``type(error)("more words")``
    flame_call: str = ""
    flame_type_name: str = ""
    flame_detail: str = ""
    flame_traceback: str = ""
    flame_frames: tuple[FrameInfo, ...] = ()

    def __init__(self, call: str, type_name: str, detail: str, traceback_text: str = "") -> None:
        super().__init__(FlameErrorCode.INTERNAL, "")
        self.args = (call, type_name, detail, traceback_text)
        self.flame_call = call
        self.flame_type_name = type_name
        self.flame_detail = detail
        self.flame_traceback = traceback_text
        self.message = f"{call} raised {type_name}" + (f": {detail}" if detail else "")

    def __str__(self) -> str:
        return self.message


class DependencyFailed(TaskFailed):
    """The call never ran, because a call whose result it takes as an argument failed (see ``__cause__``)."""

    def __init__(self, call: str, type_name: str, detail: str, traceback_text: str = "") -> None:
        super().__init__(call, type_name, detail, traceback_text)
        self.message = f"{call} did not run: a call that it takes its argument from failed with {type_name}" + (
            f": {detail}" if detail else ""
        )


class WorkerLost(TaskFailed):
    """The worker process ended while it ran the call. The next call works.

    Attributes:
        pid: Of the process.
        exit_code: As ``subprocess`` counts it: negative for a signal.
    """

    def __init__(self, call: str, pid: int, exit_code: int) -> None:
        super().__init__(call, "WorkerLost", "")
        self.args = (call, pid, exit_code)
        self.pid = pid
        self.exit_code = exit_code
        self.message = (
            f"worker {pid} ended ({describe_exit(exit_code)}) while it ran {call}. {cure_for_exit(exit_code)}"
        )


class ExecutorLost(WorkerLost):
    """A cluster lost the executor, or the node, on which the call ran. It is not run again: it may have had effects."""

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, 0, 0)
        self.args = (call, reason)
        self.message = (
            f"the cluster lost the executor that ran {call}: {reason.rstrip('. ')}. The call may have had effects, so "
            "it was not run again: make it again, or give it retries= where that does no harm."
        )


class ConnectionLost(FlameError):
    """The cluster does not answer, and has not for as long as was waited. call: one whose end is not known thereby."""

    def __init__(self, endpoint: str, reason: str, call: str = "") -> None:
        unknown = f" {call} may have begun: what became of it is not known." if call else ""
        super().__init__(
            FlameErrorCode.INTERNAL,
            f"{endpoint} does not answer ({reason.rstrip('. ')}).{unknown} See whether it runs, and at this address.",
        )
        self.args = (endpoint, reason, call)
        self.reason = reason


class TlsFailed(ConnectionLost):
    """A cluster, or its object cache, and this side come to no connection, because one refuses the other's certificate.

    Or only one of them speaks TLS. reason: ends with the cure.
    """

    def __init__(self, endpoint: str, reason: str, call: str = "") -> None:
        super().__init__(endpoint, reason, call)
        unknown = f" {call} may have begun: what became of it is not known." if call else ""
        self.message = f"no connection to {endpoint}: {reason}{unknown}"


class StateLost(TaskFailed):
    """A stateful service lost its worker, and its state could not be saved before."""

    def __init__(self, service: str, reason: str) -> None:
        super().__init__(service, "StateLost", reason)
        self.args = (service, reason)
        self.message = (
            f"the state of {service} is lost: its worker ended, and the state could not be saved because "
            f"{reason.rstrip('. ')}. "
            "Create the service again; leave such values out of the state with __getstate__ to have it saved."
        )


class StreamLost(TaskFailed):
    """The generator behind a stream is gone, so that it cannot give the parts that are still to come.

    Attributes:
        reason: What became of it.
    """

    def __init__(self, call: str, reason: str) -> None:
        super().__init__(call, "StreamLost", reason)
        self.args = (call, reason)
        self.reason = reason
        self.message = (
            f"the stream of {call} cannot go on: {reason} A generator does not resume where it was: call it again; "
            "give it an argument that says where to begin if the parts that you have must not be made twice."
        )


class CallCancelled(_Kind, concurrent.futures.CancelledError):
    """The call was cancelled before it had a result."""

    kind = FlameErrorCode.INVALID_STATE


def describe_exit(exit_code: int) -> str:
    """Name an exit status as ``subprocess`` counts it: negative = killed by that signal."""
    if exit_code >= 0:
        return f"exit code {exit_code}"
    try:
        return f"killed by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"killed by signal {-exit_code}"


def cure_for_exit(exit_code: int) -> str:
    """Say what most often causes this exit, and what to do about it."""
    if exit_code == -signal.SIGKILL:
        return "Most often the machine ran out of memory: use fewer workers (FLAME_WORKERS) or smaller pieces."
    if exit_code in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT, -signal.SIGILL, -signal.SIGFPE):
        return "Native code crashed: call the function in this process with the same arguments to find where."
    if exit_code >= 0:
        return "The code, or a library that it calls, ended the process (os._exit): raise an exception instead."
    return "Something outside stopped the process: look at the system's log, then call again."


def as_fault(error: Exception) -> FlameError:
    """What the one is told who waits for the step that ``error`` came out of."""
    if isinstance(error, FlameError):
        return error
    fault = FlameError(
        FlameErrorCode.INTERNAL,
        f"an unexpected error in the engine ended this call: {error!r}. Other calls are not concerned. "
        "Make it again; if it fails again, report the error with its traceback, which is in the log.",
    )
    fault.__cause__ = error
    return fault
