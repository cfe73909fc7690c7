# SPDX-License-Identifier: Apache-2.0
"""What to say of a value that does not unpickle where it is read: on a worker, or where its result is asked for."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from flamepy.codec.exceptions import annotate
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import decode
from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.errors import FlameError, NotPicklable

_PASSED_ON = (KeyboardInterrupt, MemoryError)  # these are about the process that reads, not about the value


def decode_or_explain(payload: Payload, what: str) -> object:
    """Decode in the process that asked for the value. Raises FlameError, with the reason as its cause."""
    try:
        return decode(payload)
    except _PASSED_ON:
        raise
    except BaseException as error:
        raise unreadable_here(what, error) from error


def decode_on_worker(payload: Payload, what: str, arguments: Sequence[object] = ()) -> object:
    """Decode; a module that workers lack, or a broken ``__setstate__``, is named as such. Raises NotPicklable.

    An error in the code of a module that is imported on the way is the module's own, and raised as it is.
    """
    try:
        return decode(payload, arguments)
    except _PASSED_ON:
        raise
    except BaseException as error:
        if lacks_descriptors(error):
            raise too_few_descriptors(f"the worker cannot read {what}") from error
        if (module := _importing(error)) is not None:
            if not isinstance(error, FlameError):  # ours say themselves what to do, and that comes last
                annotate(error, f"A worker imported {module} to read {what}.")
            raise
        if isinstance(error, ModuleNotFoundError):
            raise NotPicklable(
                f"the worker cannot read {what}: {error}. Workers import from the packaged directory and from the "
                f"installed packages: put the module {error.name!r} into the directory, and see that nothing excludes "
                "it."
            ) from error
        raise NotPicklable(
            f"the worker cannot read {what}: {_told(error)}. It was pickled, but does not unpickle: "
            "mend its __reduce__ or __setstate__, or pass plain data and build the object in the call."
        ) from error


def unreadable_here(what: str, error: BaseException) -> FlameError:
    """The error for a value that another process has made and this one cannot read."""
    if lacks_descriptors(error):
        return too_few_descriptors(f"{what} cannot be read")
    if (module := _importing(error)) is not None:
        cure = f"{module} has to be imported for it: mend that, or return plain data."
    elif isinstance(error, ImportError):
        cure = (
            f"The worker that made it could import {error.name!r}: put it where this process imports from too, or "
            "return plain data."
        )
    else:
        cure = (
            "It was pickled, but does not unpickle here: mend the __reduce__ or __setstate__ of its class, or return "
            "plain data."
        )
    return NotPicklable(f"{what} cannot be read in this process: {_told(error)}. {cure}")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".rstrip(": .")


def _importing(error: BaseException) -> str | None:
    """The module whose own code has raised ``error`` while it was imported; None when it comes from elsewhere."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "<module>":
            return str(frame.f_globals.get("__name__", frame.f_code.co_filename))
        if isinstance(error, SyntaxError) and frame.f_code.co_filename.startswith("<frozen importlib"):
            return str(error.filename)
    return None
