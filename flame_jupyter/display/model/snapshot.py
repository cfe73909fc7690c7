# SPDX-License-Identifier: Apache-2.0
"""A future at one moment, as plain data: the only thing that text, HTML and the widget are made from.

``take`` reads an ObjectFuture once; what follows (text.py, html.py, call_content.py) never touches the future again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.formatting import size_text
from flame_jupyter.display.model.problem import Problem, problem_of


class FutureLike(Protocol):
    """What a display needs of an ObjectFuture. Times are seconds since the epoch; None or 0.0 = not yet."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def call_text(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def waits_for(self) -> tuple[str, ...]: ...
    @property
    def created_s(self) -> float | None: ...
    @property
    def started_s(self) -> float | None: ...
    @property
    def finished_s(self) -> float | None: ...
    @property
    def output(self) -> str: ...
    @property
    def ran_s(self) -> float | None: ...
    @property
    def importing_s(self) -> float: ...
    @property
    def nbytes(self) -> int | None: ...
    @property
    def session_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...

    def get(self, timeout: float | None = None) -> Any: ...
    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def wait(self, timeout: float | None = None) -> bool: ...
    def ref(self) -> object: ...
    def ask(self, function: Callable[..., Any], /, *arguments: Any) -> Any: ...
    def cancel(self) -> bool: ...
    def spill(self) -> None: ...
    def done(self) -> bool: ...
    def add_done_callback(self, fn: Callable[[Any], object], /) -> None: ...


MAX_AWAITED = 3  # names of calls that fit into the line of the state


@dataclass(frozen=True)
class Preview:
    """A result, cut to what a page can hold.

    summary: type, shape or length, such as ``DataFrame, 3 rows x 2 columns``; text: complete in words;
    html: the value's own picture or table, without scripts and outside resources; None = ``text`` says it all;
    note: why something is missing, "" when nothing is.
    """

    summary: str
    text: str = ""
    html: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Times are seconds since the epoch; ``taken_s`` is when this was made.

    waits_for: the calls whose results this one takes as arguments and that have not ended. reference: a line of code
    that fetches the result, "" until it was asked for (reference.py). is_folded: one of many failures of its
    cell, shown without its traceback; summary: what is said of all of them (folding.py). importing_s: the part of
    its time in which its worker imported modules. ran_s: how long it ran by the clock of its worker,
    when that is known: this process may have been stopped meanwhile. unknown_state: how the engine calls a state that
    this version does not know.
    """

    id: int
    name: str
    call: str
    state: CallState
    taken_s: float
    created_s: float
    started_s: float | None = None
    finished_s: float | None = None
    nbytes: int | None = None
    output: str = ""
    session_id: str = ""
    task_id: str = ""
    problem: Problem | None = None
    preview: Preview | None = None
    waits_for: tuple[str, ...] = ()
    reference: str = ""
    is_folded: bool = False
    summary: str = ""
    importing_s: float = 0.0
    ran_s: float | None = None
    unknown_state: str = ""

    @property
    def word(self) -> str:
        """The state in words: which calls it waits for, how much is being read."""
        if self.waits_for:
            return f"Waiting for {_listed(self.waits_for)}"
        if self.state is CallState.FETCHING and self.nbytes is not None:
            return f"{self.state.word} {size_text(self.nbytes)}"
        return self.unknown_state.capitalize() or self.state.word

    @property
    def since_s(self) -> float:
        """Where elapsed time counts from: the start of the run, or of the waiting while it has not begun."""
        return self.started_s or self.created_s

    @property
    def elapsed_s(self) -> float:
        """How long it ran; for a call that never ran, how long it waited. The clock may step back: never negative."""
        if self.ran_s is not None:
            return self.ran_s
        return max((self.finished_s or self.taken_s) - self.since_s, 0.0)

    def gone(self) -> Snapshot:
        """The same when the kernel ends now."""
        return self if self.state.is_terminal else replace(self, state=CallState.GONE, finished_s=self.taken_s)

    def fetching(self) -> Snapshot:
        """The same while its result, which is known, is being read."""
        return replace(self, state=CallState.FETCHING)


def take(future: FutureLike, *, now_s: float, preview: Preview | None = None, reference: str = "") -> Snapshot:
    """Read the future once. The state is read first: whatever is read after it is at least as new."""
    name = str(future.state)
    state = CallState.named(name)
    return Snapshot(
        id=future.id,
        name=future.name,
        call=future.call_text or future.name,
        state=state,
        taken_s=now_s,
        created_s=future.created_s or now_s,
        started_s=future.started_s or None,
        finished_s=(future.finished_s or now_s) if state.is_terminal else None,
        nbytes=future.nbytes if state is CallState.SUCCEEDED else None,
        output=future.output or "",
        session_id=str(future.session_id),
        task_id=str(future.task_id),
        problem=problem_of(future.exception) if state.is_failure else None,
        preview=preview,
        waits_for=tuple(future.waits_for) if state is CallState.WAITING else (),
        reference=reference,
        importing_s=future.importing_s,
        ran_s=future.ran_s if state.is_terminal else None,
        unknown_state=name if state is CallState.UNKNOWN else "",
    )


def _listed(calls: tuple[str, ...]) -> str:
    """``load #2, train #5``; when there are many, how many more."""
    shown = ", ".join(calls[:MAX_AWAITED])
    return shown if len(calls) <= MAX_AWAITED else f"{shown} and {len(calls) - MAX_AWAITED} more"
