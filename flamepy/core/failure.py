# SPDX-License-Identifier: Apache-2.0
"""The worker's account of an exception of the user's code, as it travels back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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


@dataclass(frozen=True)
class Failure:
    """type_name: as Python prints it (``ValueError``, ``mylib.errors.Broken``); message: ``str`` of the exception.

    frames: the user's frames only, outermost first; traceback_text: complete, with causes, as the worker prints it.
    exception: pickle of the exception object, None when it cannot travel; why: then, the reason; buffers: the big ones
    of the pickle, such as the data of arrays.
    """

    type_name: str
    message: str
    frames: tuple[FrameInfo, ...]
    traceback_text: str
    exception: bytes | None = None
    why: str = ""
    buffers: tuple[Any, ...] = ()
