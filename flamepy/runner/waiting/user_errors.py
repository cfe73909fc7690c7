# SPDX-License-Identifier: Apache-2.0
"""How a call ended -> the exception that ``get()`` raises in the caller's process.

The worker's account (protocol.failure.Failure) becomes an exception whose class derives from TaskFailed and from the
user's own exception class: ``except FlameError`` and ``except ValueError`` both catch it. Text, args and attributes are
the user's; what is added has names that begin with ``flame_``. Its ``__cause__`` is what the user raised it from, else
the original; at the end of the causes stands the worker's traceback, so a plain traceback shows it exactly once.
"""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import functools
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.errors import CallCancelled, DependencyFailed, FlameError, FrameInfo, RemoteTraceback, TaskFailed
from flamepy.protocol.failure import Failure
from flamepy.runner.waiting.awaited import Awaited

if TYPE_CHECKING:
    from flamepy.codec.exceptions import Carried, Causes

# A task never ends the kernel, cancels an awaiting coroutine or silently ends an iteration of the caller's.
# (SystemExit, KeyboardInterrupt, GeneratorExit and asyncio's CancelledError are no Exception to begin with.)
_NEVER_RAISED_AS_SUCH = (concurrent.futures.CancelledError, StopIteration, StopAsyncIteration)
_KEPT_CLASSES = 256  # a notebook makes a new class each time its cell runs: old ones must go
_MAX_CAUSES = 100  # exceptions can be each other's cause
_OURS = "flame_"  # what our own attributes begin with
# what a debugger raises that cannot ask; it is its own way to end a program, and IPython shows nothing of it
_DEBUGGER_QUIT = "bdb.BdbQuit"
_NO_DEBUGGER = (
    "a worker has no terminal, so breakpoint() and other debuggers cannot stop there. Debug the call in this process: "
    "call the function itself, which in a notebook is {function}.local(...)."
)


def error_of(outcome: Outcome, call: str) -> FlameError:
    """The error of a call that has ended without a value; a fresh one each time, so that tracebacks never mix."""
    if outcome.failed_dependency is not None:
        return _dependency_failed(outcome.failed_dependency, call)
    if outcome.failure is not None:
        return error_of_failure(_read_failure(outcome), call)
    if outcome.error is not None:
        error = copy.copy(outcome.error)
        error.__cause__ = outcome.error.__cause__
        return error
    if outcome.state is TaskState.CANCELLED:
        return CallCancelled(f"{call} was cancelled before it had a result: call it again when you need it.")
    return TaskFailed(call, "FlameError", "the engine gave no reason: this is a bug in flamepy, please report it.")


def note_other_failures(error: FlameError, futures: Sequence[Awaited]) -> None:
    """Add to the ``error`` of one of ``futures`` how many others have failed so far, and with what."""
    ended = [each.exception(0) for each in futures if each.done()]
    kinds = collections.Counter(_kind(each) for each in ended if each is not None)
    kinds[_kind(error)] -= 1
    others = [f"{kind} ({count})" for kind, count in kinds.most_common() if count > 0]
    if not others:
        return
    running = len(futures) - len(ended)
    still = f"; {running} have not ended" if running else ""
    number = sum(kinds.values())
    add_note(
        error,
        f"{number} more of these {len(futures)} calls failed: {', '.join(others)}{still}. "
        "Each future gives its own error: future.exception().",
    )


def add_note(error: FlameError, note: str) -> None:
    """Show ``note`` below the message. Python 3.10 shows no notes: there it stands below the worker's traceback."""
    from flamepy.codec.exceptions import annotate, attributes_of

    annotate(error, note)
    if sys.version_info < (3, 11):
        last, attributes = _last_cause(error), attributes_of(error)
        if isinstance(last, RemoteTraceback):
            last.further = f"{last.further}\n{note}".lstrip("\n")
        elif "message" in attributes:
            attributes["message"] += f"\n{note}"


def told(error: BaseException) -> str:
    """The error in one line that names the call: for lists of failures, where no traceback does."""
    if isinstance(error, TaskFailed) and _user_type(type(error)) is not type(error) and error.flame_call:
        return TaskFailed(error.flame_call, error.flame_type_name, error.flame_detail).message
    return str(error)


def _kind(error: FlameError) -> str:
    return (error.flame_type_name if isinstance(error, TaskFailed) else "") or type(error).__name__


def error_of_failure(failure: Failure, call: str) -> TaskFailed:
    """Turn the worker's account into an exception of the user's type, or into TaskFailed where that cannot be."""
    original, why = _read_exception(failure)
    detail = failure.message
    if failure.type_name == _DEBUGGER_QUIT:
        detail = _NO_DEBUGGER.format(function=call.partition(".")[0])
        return _plain(call, failure.type_name, detail, failure.traceback_text, ())  # no frames: they are the debugger's
    if original is None and why:
        detail += f" (the exception itself could not travel: {why})"
    if original is None:
        return _plain(call, failure.type_name, detail, failure.traceback_text, failure.frames)
    return _rebuilt(original, call, failure.type_name, detail, failure.traceback_text, failure.frames)


def _plain(call: str, type_name: str, detail: str, text: str, frames: tuple[FrameInfo, ...]) -> TaskFailed:
    error = TaskFailed(call, type_name, detail, text)
    error.flame_frames = frames
    error.__cause__ = RemoteTraceback(text, call) if text else None
    return error


def _rebuilt(
    original: BaseException | Carried,
    call: str,
    type_name: str,
    detail: str,
    text: str,
    frames: tuple[FrameInfo, ...],
    causes: Causes | None = None,
) -> TaskFailed:
    """Make the error from its parts: also how it is unpickled, in this process or in another.

    causes: of the original, where they do not hang on it.
    """
    from flamepy.codec.exceptions import Carried, causes_of, put_causes

    if isinstance(original, Carried):  # copy.copy() does not unpickle
        original = original.error
    causes = _causes_told(original) if causes is None else causes
    error = _instance_of_both(original, _plain(call, type_name, detail, text, frames))
    # what it was raised from, when that was told; else the original
    put_causes(error, causes._replace(cause=causes.cause or original, is_context_hidden=True))
    if text:
        last = _last_cause(error)
        put_causes(last, causes_of(last)._replace(cause=RemoteTraceback(text, call), is_context_hidden=True))
    return error


def _causes_told(error: BaseException) -> Causes:
    """What the user raised it from. An error that has crossed a border has its original as a cause: that is ours."""
    from flamepy.codec.exceptions import attributes_of, causes_of

    causes = causes_of(error)
    is_ours = causes.cause is attributes_of(error).get("flame_original")
    return causes._replace(cause=None) if is_ours else causes


def _last_cause(error: BaseException) -> BaseException:
    """The end of the chain of causes, a worker's traceback included."""
    for _ in range(_MAX_CAUSES):
        cause = error.__cause__
        if cause is None:
            break
        error = cause
    return error


def _instance_of_both(original: BaseException, plain: TaskFailed) -> TaskFailed:
    """An exception of ``type(original)`` and TaskFailed that looks like both; ``plain`` where Python refuses that."""
    from flamepy.codec.exceptions import attributes_of, bare, fill, parts_of

    if not isinstance(original, Exception) or isinstance(original, _NEVER_RAISED_AS_SUCH):
        return plain
    try:
        error = bare(_class_for(_user_type(type(original))), original.args)
        assert isinstance(error, TaskFailed)
        fill(error, parts_of(original))
        attributes = attributes_of(error)
        attributes.update({name: each for name, each in vars(plain).items() if name.startswith(_OURS)})
        attributes["flame_original"] = original
    except Exception:  # noqa: BLE001 - metaclasses, __init_subclass__ and layouts of user classes may refuse anything
        return plain
    return error


@functools.lru_cache(maxsize=_KEPT_CLASSES)
def _class_for(user_type: type[Exception]) -> type[TaskFailed]:
    """The class that is both; named like the user's, so that a traceback reads as the user expects.

    TaskFailed comes first, so that ``super()`` in methods of the user's class goes on as that class was written for.
    It has nothing that could hide anything of the user's, save what the body gives back.
    """
    bases = (user_type,) if issubclass(user_type, TaskFailed) else (TaskFailed, user_type)
    body = {
        "__module__": user_type.__module__,
        "__qualname__": user_type.__qualname__,
        "__doc__": user_type.__doc__,
        "__init__": user_type.__init__,
        "__str__": user_type.__str__,
        "__reduce__": _reduce,
        "__reduce_ex__": lambda error, _protocol: _reduce(error),
        "_flame_user_type": user_type,
    }
    return types.new_class(user_type.__name__, bases, exec_body=lambda namespace: namespace.update(body))


def _reduce(error: TaskFailed) -> tuple[object, ...]:
    """As the original is now, notes and other late additions included, and what was added to it."""
    from flamepy.codec.exceptions import Carried, bare, fill, parts_of

    parts = parts_of(error)
    users = {name: each for name, each in parts.attributes.items() if not name.startswith(_OURS)}
    original = bare(_user_type(type(error)), parts.args)
    fill(original, parts._replace(attributes=users))
    return _rebuilt, (
        Carried(original), error.flame_call, error.flame_type_name, error.flame_detail, error.flame_traceback,
        error.flame_frames, _causes_told(error),
    )  # fmt: skip


def _user_type(cls: type) -> Any:
    """``cls`` itself; for an error that has crossed a border before (nested calls), the type that it began with."""
    return getattr(cls, "_flame_user_type", cls)


def _dependency_failed(outcome: Outcome, call: str) -> DependencyFailed:
    """The call never ran. Its cause is the first failure in the chain of calls, not the nearest."""
    while outcome.failed_dependency is not None:
        outcome = outcome.failed_dependency
    frames: tuple[FrameInfo, ...] = ()
    if outcome.failure is not None:
        failure = _read_failure(outcome)
        frames = failure.frames
        first = error_of_failure(failure, frames[0].qualname if frames else "the call")
        error = DependencyFailed(call, failure.type_name, failure.message, failure.traceback_text)
    else:
        cause = error_of(outcome, "the call")
        error = DependencyFailed(call, type(cause).__name__, str(cause))
        error.__cause__ = cause
        return error
    error.flame_frames = frames
    error.__cause__ = first
    return error


def _read_failure(outcome: Outcome) -> Failure:
    from flamepy.codec.pickling import decode  # only where something failed: runner stays cheap to import

    assert outcome.failure is not None
    failure = decode(outcome.failure.payload())
    assert isinstance(failure, Failure)
    return failure


def _read_exception(failure: Failure) -> tuple[BaseException | None, str]:
    """The exception object, or None and the reason why it is not here."""
    if failure.exception is None:
        return None, failure.why
    from flamepy.codec.payload import Payload
    from flamepy.codec.pickling import decode

    try:
        original = decode(Payload(failure.exception, list(failure.buffers)))
    except (KeyboardInterrupt, MemoryError):  # of this process
        raise
    except BaseException as reason:  # noqa: BLE001 - __init__ and __setstate__ of user classes may raise anything
        return None, f"{type(reason).__name__}: {reason}"
    if not isinstance(original, BaseException):
        return None, f"it unpickles as {type(original).__name__}"
    return original, ""
