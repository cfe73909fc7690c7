# SPDX-License-Identifier: Apache-2.0
"""The worker's account of an exception of the user's code, as it travels back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameInfo:
    """One frame of the worker's traceback. ``line``: its source line, "" where the worker cannot know it."""

    filename: str
    lineno: int
    function: str
    qualname: str
    line: str = ""


@dataclass(frozen=True)
class Failure:
    """type_name: as Python prints it (``ValueError``, ``mylib.errors.Broken``); message: ``str`` of the exception.

    frames: the user's frames only, outermost first; traceback_text: complete, with causes, as the worker prints it.
    exception: pickle of the exception object, None when it cannot travel; why: then, the reason.
    """

    type_name: str
    message: str
    frames: tuple[FrameInfo, ...]
    traceback_text: str
    exception: bytes | None = None
    why: str = ""
