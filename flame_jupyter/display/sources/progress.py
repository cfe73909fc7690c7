# SPDX-License-Identifier: Apache-2.0
"""Progress over many futures: how many calls have ended, one bar a group, the first error as soon as there is one.

Counting is here; how it looks is in progress_page.py; output_updater.py shows it. It never waits for a call.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from flame_jupyter.display.model.call_state import CallState
from flame_jupyter.display.model.problem import problem_of
from flame_jupyter.display.model.snapshot import FutureLike
from flame_jupyter.display.render import progress_page
from flame_jupyter.display.render.progress_page import Picture, Tally
from flame_jupyter.display.views.content import CANCELLING, Button
from flame_jupyter.display.views.mode import InProgram
from flame_jupyter.display.views.page_content import PageContent
from flame_jupyter.display.views.source import Source, Viewer

GroupBy = Callable[[FutureLike], str]
MAX_GROUPS = 10
THE_REST = "all others"
MIN_ENDS = 3  # one or two say nothing of how long the others take
RECENT_LOOKS = 6  # at which calls were seen to have ended
APPEARS_S = 0.5  # what is over sooner needs no bar


@dataclass
class Group:
    """Calls that share a bar. Those that have ended are only counted: they are not asked again."""

    name: str
    total: int = 0
    ended: Counter[CallState] = field(default_factory=Counter)
    pending: list[FutureLike] = field(default_factory=list)


class Progress(Source):
    """group_by: the name of a future's group."""

    refresh_s = 0.5
    appears_after_s = APPEARS_S
    in_program = InProgram.AWAITED

    def __init__(
        self, futures: Iterable[FutureLike], group_by: GroupBy = lambda future: future.name, *, leave: bool = True
    ) -> None:
        self._leave = leave
        self._groups = _grouped(list(futures), group_by)
        self._first_error: tuple[str, str] | None = None
        self._is_cancelling = False
        self._began_s = time.time()
        self._created_s = min((future.created_s or self._began_s for future in self.pending()), default=self._began_s)
        for group in self._groups:
            self._count_ended(group)
        self._ended_before = sum(sum(group.ended.values()) for group in self._groups)
        self._ends = deque([(self._began_s, 0)], maxlen=RECENT_LOOKS)

    def pending(self) -> list[FutureLike]:
        return [future for group in self._groups for future in group.pending]

    def attach(self, viewer: Viewer) -> None:
        """A failure is told at once."""

        def tell(ended: FutureLike) -> None:
            if CallState.named(ended.state) is not CallState.SUCCEEDED:
                viewer.wake()

        for future in self.pending():
            future.add_done_callback(tell)

    def is_ended(self) -> bool:
        return all(future.done() for future in self.pending())

    def content(self, *, now_s: float) -> PageContent:
        picture = self._picture(now_s)
        if picture.is_over and not self._leave:
            return PageContent("", "", "", "<div></div>", is_final=True)
        words = CANCELLING if self._is_cancelling else "Cancel all"
        hint = "Cancel the calls that have not ended yet."
        cancel = Button("cancel", words, hint, not self._is_cancelling, pressed=CANCELLING)
        return PageContent(
            title=progress_page.title(picture),
            state=progress_page.state(picture),
            text=progress_page.text(picture),
            html=progress_page.html(picture),
            status=progress_page.status(picture),
            buttons=() if picture.is_over else (cancel,),
            is_final=picture.is_over,
        )

    def answer(self, ask: str) -> None:
        if ask == "cancel":
            self._is_cancelling = True
            for future in self.pending():
                future.cancel()

    def _picture(self, now_s: float) -> Picture:
        for group in self._groups:
            self._count_ended(group)
        tallies = tuple(_tally(group) for group in self._groups)
        ended = sum(tally.ended for tally in tallies)
        left = sum(tally.total for tally in tallies) - ended
        count = ended - self._ended_before
        if count > self._ends[-1][1]:
            self._ends.append((now_s, count))
        left_s = time_left(self._began_s, list(self._ends), now_s, left)
        return Picture(tallies, now_s, max(now_s - self._created_s, 0.0), left_s, self._first_error)

    def _count_ended(self, group: Group) -> None:
        pending = []
        for future in group.pending:
            state = CallState.named(future.state)
            if not state.is_terminal:
                pending.append(future)
                continue
            group.ended[state] += 1
            if state.is_failure and self._first_error is None:
                problem = problem_of(future.exception)
                self._first_error = (f"{future.call_text} #{future.id}", problem.headline if problem else state.word)
        group.pending = pending


def time_left(began_s: float, ends: Sequence[tuple[float, int]], now_s: float, left: int) -> float | None:
    """A guess; None = too early for one.

    ends: when calls were seen to have ended lately, and how many since ``began_s``. Calls that end later are often the
    longer ones: so the slower counts, the pace since the beginning or that of late, and waiting for the next slows it.
    """
    _, count = ends[-1]
    if count < MIN_ENDS or not left:
        return None
    since_s, before = ends[0]
    late_s = (now_s - since_s) / (count - before) if count > before else 0.0
    return max((now_s - began_s) / count, late_s, 0.0) * left


def _grouped(futures: list[FutureLike], group_by: GroupBy) -> list[Group]:
    """The groups in the order in which they appear; when there are too many, the last ones share a bar."""
    names = [str(group_by(future)) for future in futures]
    known = list(dict.fromkeys(names))
    own = set(known if len(known) <= MAX_GROUPS else known[: MAX_GROUPS - 1])
    groups: dict[str, Group] = {}
    for future, name in zip(futures, names, strict=True):
        shown = name if name in own else THE_REST
        group = groups.setdefault(shown, Group(shown))
        group.total += 1
        group.pending.append(future)
    return list(groups.values())


def _tally(group: Group) -> Tally:
    counts = group.ended + Counter(CallState.named(future.state) for future in group.pending)
    return Tally(group.name, group.total, {state: counts[state] for state in CallState if counts[state]})
