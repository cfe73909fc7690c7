# SPDX-License-Identifier: Apache-2.0
"""A trace function that raises in a chosen step of the engine's loop, in whichever thread runs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from flamepy.engine import local
from flamepy.engine.local.loop import event_loop as loop_module

_ENGINE = os.path.dirname(local.__file__) + os.sep
_ITERATIONS = {loop_module.Loop._run_iteration.__code__, loop_module.Loop._handle_inbox.__code__}


class Injected(Exception):
    pass


class Tracer:
    """Notes what the loop enters, and raises ``Injected`` once in the chosen place."""

    def __init__(self) -> None:
        self.entered: dict[CodeType, str] = {}
        self.is_noting = True
        self._target: tuple[CodeType | None, str] = None, ""
        self._pause: tuple[CodeType | None, Callable[[], object]] = None, bool

    def pause(self, code: CodeType, until: Callable[[], object]) -> None:
        """Have ``until`` run before the loop next enters ``code``."""
        self._pause = code, until

    def arm(self, code: CodeType, event: str) -> None:
        self._target = code, event

    def disarm(self) -> bool:
        """Was the exception raised?"""
        was_raised, self._target = self._target[0] is None, (None, "")
        return was_raised

    def trace_here(self, *_: object) -> None:
        """In this thread, from now on: Python ends the tracing of a thread whose trace function has raised."""
        sys.settrace(self)

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        code = frame.f_code
        if code is self._pause[0]:
            until, self._pause = self._pause[1], (None, bool)
            until()
        if not (code is self._target[0] or (self.is_noting and code.co_filename.startswith(_ENGINE))):
            return None
        if code in _ITERATIONS or not _is_in_the_loop(frame):
            return None
        if self.is_noting:
            self.entered.setdefault(code, _qualname(frame))
        self._at(code, "entry")
        return self._at_return if self._target == (code, "return") else None

    def _at_return(self, frame: FrameType, event: str, _: object) -> Any:
        if event == "return":
            self._at(frame.f_code, "return")
        return self._at_return

    def _at(self, code: CodeType, event: str) -> None:
        if self._target == (code, event):
            self.disarm()
            raise Injected(event)


def _is_in_the_loop(frame: FrameType) -> bool:
    outer = frame.f_back
    while outer is not None:
        if outer.f_code in _ITERATIONS:
            return True
        outer = outer.f_back
    return False


def _qualname(frame: FrameType) -> str:
    owner = frame.f_locals.get("self")
    name = frame.f_code.co_name
    return name if owner is None else f"{type(owner).__name__}.{name}"
