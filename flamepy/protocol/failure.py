# SPDX-License-Identifier: Apache-2.0
"""The worker's account of an exception of the user's code, as it travels back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flamepy.errors import FrameInfo


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
