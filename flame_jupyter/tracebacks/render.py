# SPDX-License-Identifier: Apache-2.0
"""How an error reads in a notebook: records of what is shown, and their text. Pure; ``errors`` collects them.

Frames of libraries are left out, save the innermost one: where the user's code ends and where the error began is what
helps. Of many failed calls each kind is told once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

MAX_FRAMES = 12  # a recursion error has hundreds of equal ones
MAX_KINDS = 3  # of failures that a summary names
MAX_MEMBERS = 8  # of a group that are told
_RULE = "-" * 75
_RED, _GREEN, _BLUE, _RESET = "\x1b[31m", "\x1b[32m", "\x1b[34m", "\x1b[39m"
_INSTALLED = re.compile(r"/(?:site|dist)-packages/(\w+)")
_STANDARD = re.compile(r"(?:/lib(?:64)?/python3\.\d+/|^<frozen )(\w+)")
_BORDERS = (
    ("caused by", "\nThe above exception was the direct cause of the following exception:\n"),
    ("while handling", "\nDuring handling of the above exception, another exception occurred:\n"),
)


@dataclass(frozen=True)
class ShownFrame:
    """One frame. place: ``Cell In[3]`` or a file; source: numbered lines around ``lineno``, empty when not known.

    library: the package that it belongs to, "" for code of the user. lineno 0: a remark instead of a frame.
    """

    place: str
    function: str = ""
    lineno: int = 0
    source: tuple[tuple[int, str], ...] = ()
    filename: str = ""
    library: str = ""

    def where(self, green: str, reset: str) -> str:
        """As IPython says it: front ends make a link of ``/file:line``."""
        if "/" in self.place:
            return f"File {green}{self.place}:{self.lineno}{reset}"
        return f"{green}{self.place}{reset}, line {self.lineno}"


@dataclass(frozen=True)
class ShownFailure:
    """What is shown of an error. origin: whose the frames are; callers: lines of this kernel that led to them.

    causes: of exceptions that the user's code was handling; members: those of a group; notes: added to the message.
    """

    kind: str
    message: str
    origin: str = "on the worker"
    frames: tuple[ShownFrame, ...] = ()
    callers: tuple[ShownFrame, ...] = ()
    causes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()


def rendered(failure: ShownFailure, *, is_colored: bool, is_short: bool = True) -> list[str]:
    """The lines to print, in IPython's manner: most recent last, then the error. is_short: no more than helps."""
    red, green, blue, reset = (_RED, _GREEN, _BLUE, _RESET) if is_colored else ("", "", "", "")
    gap = " " * max(1, 41 - len(failure.kind))
    origin = f"{gap}Traceback ({failure.origin})" if failure.frames else ""
    lines = [f"{red}{_RULE}{reset}", f"{red}{failure.kind}{reset}{origin}"]
    for frame in shortened(failure.frames) if is_short else failure.frames:
        if not frame.lineno:
            lines.append(f"    {frame.place}")
            continue
        inside = "" if frame.function == "<module>" else f", in {blue}{frame.function}{reset}"
        lines.append(f"{frame.where(green, reset)}{inside}")
        for number, text in frame.source:
            mark = "---->" if number == frame.lineno else "     "
            is_marked = number == frame.lineno
            lines.append(f"{green if is_marked else ''}{mark}{number:>4}{reset if is_marked else ''} {text}".rstrip())
    lines += [f"\n{cause}" for cause in failure.causes]
    for caller in failure.callers:
        text = caller.source[0][1] if caller.source else ""
        lines.append(f"\ncalled from {caller.where(green, reset)}: {text}".rstrip(": "))
    lines.append(f"\n{red}{failure.message}{reset}" if is_colored else f"\n{failure.message}")
    return [*lines, *failure.members, *failure.notes]


def shortened(frames: Sequence[ShownFrame]) -> Sequence[ShownFrame]:
    """The frames that help: all of the user's, the innermost of a library, and not hundreds of them."""
    kept: list[ShownFrame] = []
    for is_library, run in groupby(frames, key=lambda frame: bool(frame.library)):
        inside = list(run)
        shown = inside
        if is_library:
            shown = inside[-1:] if inside[-1] is frames[-1] else []
            left_out = inside[: len(inside) - len(shown)]
            if left_out:
                names = ", ".join(dict.fromkeys(frame.library for frame in left_out))
                kept.append(ShownFrame(f"... {_frames(len(left_out))} inside {names} ..."))
        kept += shown
    if len(kept) > MAX_FRAMES:
        half = MAX_FRAMES // 2
        kept[half:-half] = [ShownFrame(f"... {_frames(len(kept) - 2 * half)} more ...")]
    return kept


def library_of(filename: str) -> str:
    """The package that a file belongs to, the standard library's included; "" for files of the user."""
    found = _INSTALLED.search(filename) or _STANDARD.search(filename)
    return "" if found is None else found[1]


def members_in(error: BaseException, indent: str = "  ") -> Iterator[str]:
    """One line for each exception of a group, groups in groups below theirs; nothing for any other exception."""
    members = members_of(error)
    for each in members[:MAX_MEMBERS]:
        first, *more = str(each).splitlines() or [""]
        yield f"{indent}- {type(each).__name__}: {first}{' ...' if more else ''}".rstrip(": ")
        yield from members_in(each, f"{indent}  ")
    if len(members) > MAX_MEMBERS:
        yield f"{indent}... and {len(members) - MAX_MEMBERS} more"


def members_of(error: BaseException) -> Sequence[BaseException]:
    """The exceptions of a group; none of any other exception, and on Python 3.10, which has no groups."""
    is_group = any(each.__qualname__ == "BaseExceptionGroup" for each in type(error).__mro__)
    members: Sequence[BaseException] = error.exceptions if is_group else ()  # type: ignore[attr-defined]
    return members


def causes_in(traceback_text: str) -> tuple[str, ...]:
    """One line for each exception that the last one of a Python traceback was raised from, the nearest first."""
    parts = [("", traceback_text)]
    for word, border in _BORDERS:
        parts = [each for before, text in parts for each in _split(before, text, word, border)]
    told = [(word, text.strip().rpartition("\n")[2].strip()) for word, text in parts[:-1]]
    return tuple(f"{word} {line}" for word, line in reversed(told) if line)


def summary(failures: Iterable[tuple[str, str]]) -> str:
    """Many failed calls in a few words, each kind once: ``2 ValueError (first: f #3: no root), 1 KeyError``.

    failures: for each call the name of the exception, and what to say of it when it is the first of its kind.
    """
    first: dict[str, str] = {}
    counts: Counter[str] = Counter()
    for kind, text in failures:
        counts[kind] += 1
        first.setdefault(kind, text)
    common = counts.most_common()
    shown = [f"{number} {kind} (first: {first[kind]})" for kind, number in common[:MAX_KINDS]]
    others = sum(number for _, number in common[MAX_KINDS:])
    return ", ".join([*shown, f"{others} of other kinds"] if others else shown)


def _split(before: str, text: str, word: str, border: str) -> Iterator[tuple[str, str]]:
    """Cut at a border; what stands above one is what ``word`` says, the last part is what it was before."""
    *above, last = text.split(border)
    yield from ((word, each) for each in above)
    yield before, last


def _frames(number: int) -> str:
    return f"{number} frame{'' if number == 1 else 's'}"
