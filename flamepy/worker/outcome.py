# SPDX-License-Identifier: Apache-2.0
"""How a call ended, encoded for the way back."""

from __future__ import annotations

import linecache
import os
import pickle
import traceback
from dataclasses import replace

from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import decode, encode, encode_exception
from flamepy.errors import FlameError, FrameInfo
from flamepy.protocol import frames
from flamepy.protocol.failure import Failure
from flamepy.protocol.report import Report

_OUR_DIRECTORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_TRACEBACK_CHARS = 64 * 1024  # a recursion error of thousands of frames must not fill a notebook
_MESSAGE_CHARS = 16 * 1024
_PLAIN_MODULES = ("builtins", "__main__", "flamepy.errors")  # whose names are told without the module


def succeeded(value: object) -> Blob:
    """Encode a result. Raises NotPicklable."""
    return Blob.of(encode(value, what="the result"))


def cancelled() -> Report:
    return Report(frames.CANCELLED, Blob.of(Payload(b"")))


def failed(error: BaseException) -> Report:
    """Encode an exception of the user's code, with everything about it that can travel."""
    exception, why = _exception_payload(error)
    failure = Failure(
        type_name=_type_name(error),
        message=_message(error)[:_MESSAGE_CHARS],
        frames=_user_frames(error),
        traceback_text=_traceback_text(error),
        exception=None if exception is None else bytes(exception.data),
        buffers=() if exception is None else tuple(map(pickle.PickleBuffer, exception.buffers)),
        why=why,
    )
    try:
        return Report(frames.FAILED, Blob.of(encode(failure)))
    except FlameError as reason:  # no room for what it carries
        return Report(frames.FAILED, Blob.of(encode(replace(failure, exception=None, buffers=(), why=str(reason)))))


def _exception_payload(error: BaseException) -> tuple[Payload | None, str]:
    """Pickle the exception, and prove that it can be read again: many exception classes can do only the first.

    With what it was raised from, or without that when only that cannot travel.
    """
    why = ""
    for has_causes in (True, False):
        try:
            payload = encode_exception(error, has_causes=has_causes)
            decode(payload)
        except BaseException as reason:  # noqa: BLE001 - code of user classes may raise anything, even SystemExit
            why = f"{type(reason).__name__}: {_message(reason)}"
        else:
            return payload, ""
    return None, why


def _type_name(error: BaseException) -> str:
    cls = type(error)
    return cls.__qualname__ if cls.__module__ in _PLAIN_MODULES else f"{cls.__module__}.{cls.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as reason:  # noqa: BLE001 - a broken __str__ must not hide the error, nor end the worker
        return f"<its message cannot be shown: {type(reason).__name__}>"


def _user_frames(error: BaseException) -> tuple[FrameInfo, ...]:
    frames_: list[FrameInfo] = []
    for frame, lineno in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        if code.co_filename.startswith(_OUR_DIRECTORY):
            continue
        qualname = getattr(code, "co_qualname", code.co_name)  # Python 3.11 and newer know it
        line = linecache.getline(code.co_filename, lineno, frame.f_globals).strip()
        frames_.append(FrameInfo(code.co_filename, lineno, code.co_name, qualname, line))
    if isinstance(error, SyntaxError) and error.filename and error.lineno:  # where it is told of, nothing has run
        line = (error.text or "").strip()
        frames_.append(FrameInfo(error.filename, error.lineno, "<module>", "<module>", line))
    return tuple(frames_[-100:])


def _traceback_text(error: BaseException) -> str:
    """The traceback as Python prints it, causes included, without the frames of the worker's own loop."""
    try:
        shown = traceback.TracebackException(type(error), error, error.__traceback__)
        _drop_our_frames(shown)
        text = "".join(shown.format())
    except BaseException:  # noqa: BLE001 - see _message
        text = f"{_type_name(error)}: {_message(error)}\n"
    if len(text) > _TRACEBACK_CHARS:
        half = _TRACEBACK_CHARS // 2
        text = f"{text[:half]}\n  [... {len(text) - 2 * half} characters left out ...]\n{text[-half:]}"
    return text


def _drop_our_frames(shown: traceback.TracebackException) -> None:
    seen: list[traceback.TracebackException | None] = [shown]
    while seen:
        part = seen.pop()
        if part is not None:
            kept = [frame for frame in part.stack if not frame.filename.startswith(_OUR_DIRECTORY)]
            part.stack[:] = kept
            seen += [part.__cause__, part.__context__]
