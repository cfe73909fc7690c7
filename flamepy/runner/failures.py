# SPDX-License-Identifier: Apache-2.0
"""How a call ended -> the exception that ``get()`` raises in the caller's process.

The worker's account (core.failure.Failure) becomes an exception whose class derives from TaskFailed and from the
user's own exception class: ``except FlameError`` and ``except ValueError`` both catch it. The original is its
``__cause__``, and the worker's traceback is the cause of that, so a plain traceback shows it exactly once.
"""

from __future__ import annotations

import collections
import concurrent.futures
import copy
import functools
import pickle
import sys
import types
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from flamepy.core.failure import Failure, FrameInfo
from flamepy.core.task import TaskState
from flamepy.engine.completion import Outcome
from flamepy.errors import CallCancelled, DependencyFailed, FlameError, TaskFailed

if TYPE_CHECKING:
    from flamepy.runner.futures import ObjectFuture

# A task never ends the kernel, cancels an awaiting coroutine or silently ends somebody's iteration.
# (SystemExit, KeyboardInterrupt, GeneratorExit and asyncio's CancelledError are no Exception to begin with.)
_NEVER_RAISED_AS_SUCH = (concurrent.futures.CancelledError, StopIteration, StopAsyncIteration)
_OURS = ("call", "type_name", "traceback_text")
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: not set on the exception classes that are written in C
_KEPT_CLASSES = 256  # a notebook makes a new class each time its cell runs: old ones must go


class RemoteTraceback(Exception):
    """Carries the worker's traceback text to where Python prints causes. ``str`` is the text, indented."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return "in the worker:\n" + "\n".join(f"  | {line}" for line in self.text.rstrip().splitlines())


RemoteTraceback.__module__ = "flamepy"  # what a traceback prints before the name


def error_of(outcome: Outcome, call: str) -> FlameError:
    """The error of a call that has ended without a value; a fresh one each time, so that tracebacks never mix."""
    if outcome.because is not None:
        return _dependency_failed(outcome.because, call)
    if outcome.failure is not None:
        return error_of_failure(_read_failure(outcome), call)
    if outcome.error is not None:
        error = copy.copy(outcome.error)
        error.__cause__ = outcome.error.__cause__
        return error
    if outcome.state is TaskState.CANCELLED:
        return CallCancelled(f"{call} was cancelled before it had a result: call it again when you need it.")
    return TaskFailed(call, "FlameError", "the engine gave no reason: this is a bug in flamepy, please report it.")


def note_other_failures(error: FlameError, futures: Sequence[ObjectFuture]) -> None:
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
    """Show ``note`` below the message. Python 3.10 has no notes: there it becomes the end of the message."""
    if sys.version_info >= (3, 11):
        error.add_note(note)
    else:
        plain = getattr(error, "_flame", error)  # the one whose text is shown
        plain.message = f"{plain.message}\n{note}"


def _kind(error: FlameError) -> str:
    return error.type_name if isinstance(error, TaskFailed) else type(error).__name__


def error_of_failure(failure: Failure, call: str) -> TaskFailed:
    """Turn the worker's account into an exception of the user's type, or into TaskFailed where that cannot be."""
    original, why = _read_exception(failure)
    if original is None:
        detail = failure.message
        if why:
            detail += f" (the exception itself could not travel: {why})"
        error = TaskFailed(call, failure.type_name, detail, failure.traceback_text)
        vars(error)["frames"] = failure.frames
        error.__cause__ = RemoteTraceback(failure.traceback_text) if failure.traceback_text else None
        return error
    return _rebuilt(original, call, failure.type_name, failure.message, failure.traceback_text, failure.frames)


def _rebuilt(
    original: BaseException, call: str, type_name: str, detail: str, text: str, frames: tuple[FrameInfo, ...]
) -> TaskFailed:
    """Make the error from its parts: also how it is unpickled, in this process or in another."""
    error = _instance_of_both(original, TaskFailed(call, type_name, detail, text))
    vars(error)["frames"] = frames
    if text:
        original.__cause__ = RemoteTraceback(text)
    error.__cause__ = original
    return error


def _instance_of_both(original: BaseException, plain: TaskFailed) -> TaskFailed:
    """An exception of ``type(original)`` and TaskFailed that looks like both; ``plain`` where Python refuses that.

    The user's attributes win over ours of the same name, save those that displays need.
    """
    if not isinstance(original, Exception) or isinstance(original, _NEVER_RAISED_AS_SUCH):
        return plain
    try:
        error = _bare(_class_for(_user_type(type(original))), original)
        # not through setattr: the user's class may have properties, or a __setattr__, of its own
        vars(error).update({**vars(plain), **getattr(original, "__dict__", {})})
        vars(error).update({name: getattr(plain, name) for name in _OURS})
        vars(error)["_flame"] = plain
        error.args = original.args
        _copy_slots(original, error)
    except Exception:  # noqa: BLE001 - metaclasses, __init_subclass__ and layouts of user classes may refuse anything
        return plain
    return error


@functools.lru_cache(maxsize=_KEPT_CLASSES)
def _class_for(user_type: type[Exception]) -> type[TaskFailed]:
    """The class that is both; named like the user's, so that a traceback reads as the user expects."""
    bases = (user_type,) if issubclass(user_type, TaskFailed) else (TaskFailed, user_type)

    def describe(error: Any) -> str:
        return str(error._flame)

    def reduce(error: Any) -> tuple[object, ...]:
        plain = error._flame
        return _rebuilt, (
            error.__cause__, plain.call, plain.type_name, plain.detail, plain.traceback_text, error.frames,
        )  # fmt: skip

    body = {
        "__module__": user_type.__module__,
        "__qualname__": user_type.__qualname__,
        "__doc__": user_type.__doc__,
        "__str__": describe,
        "__reduce__": reduce,
        "__reduce_ex__": lambda error, _protocol: reduce(error),
        "_flame_user_type": user_type,
    }
    return types.new_class(user_type.__name__, bases, exec_body=lambda namespace: namespace.update(body))


def _user_type(cls: type) -> Any:
    """``cls`` itself; for an error that has crossed a border before (nested calls), the type that it began with."""
    return getattr(cls, "_flame_user_type", cls)


def _bare(cls: type[TaskFailed], original: BaseException) -> TaskFailed:
    """An instance without running the user's ``__new__`` and ``__init__``, whose arguments nobody knows."""
    in_c: type = cls
    while in_c.__flags__ & _HEAP_TYPE:  # along the bases that decide the layout: Python allows only their __new__
        assert in_c.__base__ is not None
        in_c = in_c.__base__
    make: Any = in_c.__new__
    try:
        error: TaskFailed = make(cls)
    except TypeError:  # ExceptionGroup wants its arguments
        error = make(cls, *original.args)
    return error


def _copy_slots(original: BaseException, error: BaseException) -> None:
    """Copy what lives outside ``__dict__``: OSError.errno, SyntaxError.lineno, ``__slots__`` of user classes."""
    for base in type(original).__mro__:
        if base in (Exception, BaseException, object):
            continue
        for name, descriptor in vars(base).items():
            if isinstance(descriptor, (types.MemberDescriptorType, types.GetSetDescriptorType)) and name[:2] != "__":
                try:
                    setattr(error, name, getattr(original, name))
                except (AttributeError, TypeError):  # unset, or read-only
                    continue


def _dependency_failed(outcome: Outcome, call: str) -> DependencyFailed:
    """The call never ran. Its cause is the first failure in the chain of calls, not the nearest."""
    while outcome.because is not None:
        outcome = outcome.because
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
    vars(error)["frames"] = frames
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
    try:
        original = pickle.loads(failure.exception)
    except Exception as reason:  # noqa: BLE001 - __init__ and __setstate__ of user classes may raise anything
        return None, f"{type(reason).__name__}: {reason}"
    if not isinstance(original, BaseException):
        return None, f"it unpickles as {type(original).__name__}"
    return original, ""
