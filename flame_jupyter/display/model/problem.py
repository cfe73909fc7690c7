# SPDX-License-Identifier: Apache-2.0
"""Why a call failed, as a display tells it: a headline, and the worker's traceback at the lines of the cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from flame_jupyter.display.model.formatting import ANSI


@dataclass(frozen=True)
class Problem:
    """headline: type and message of the exception; traceback_text: the worker's, "" when there is none."""

    headline: str
    traceback_text: str = ""

    @property
    def kind(self) -> str:
        return self.headline.partition(":")[0]

    @property
    def message(self) -> str:
        """The headline without the kind; without a message, the kind again."""
        return self.headline.partition(": ")[2] or self.headline


class AskError(Protocol):
    """``ObjectFuture.exception``."""

    def __call__(self, timeout: float | None = None) -> BaseException | None: ...


def problem_of(ask: AskError) -> Problem | None:
    """Read the error of a call that has ended. Never raises."""
    try:
        error = ask(timeout=0)
    except Exception as unreadable:  # noqa: BLE001 - decoding runs the user's code; a display must still say something
        return Problem(f"the error cannot be read ({type(unreadable).__name__}: {unreadable}). Call .get() to see why.")
    return None if error is None else problem_from_error(error)


def problem_from_error(error: BaseException) -> Problem:
    """The headline names the user's exception where the worker reported one, else what the engine has to say."""
    remote_text = str(getattr(error, "flame_traceback", ""))
    type_name, detail = getattr(error, "flame_type_name", None), getattr(error, "flame_detail", "")
    message = _text(error)
    if remote_text and type_name and not _never_ran(error):
        headline = f"{type_name}: {detail}" if detail else str(type_name)
    else:
        headline = f"{type(error).__name__}: {message}" if message else type(error).__name__
    if not remote_text:
        return Problem(headline)
    mapped = _at_the_lines_of_the_cells(error, headline)
    return Problem(headline, remote_text if mapped is None else mapped)


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as reason:  # noqa: BLE001 - a __str__ of the user's, which may do anything
        return f"<its message cannot be shown: {type(reason).__name__}>"


def _at_the_lines_of_the_cells(error: BaseException, headline: str) -> str | None:
    """What IPython would print of this error, without its colours, its heading and the message at its end.

    "" when no frame is worth showing; None when it is not known.

    The method is IPython's protocol; errors have it while the extension is loaded (errors.py).
    """
    render = getattr(error, "_render_traceback_", None)
    if render is None:
        return None
    try:
        lines = [line for block in render() for line in ANSI.sub("", str(block)).splitlines()]
    except Exception:  # noqa: BLE001 - the worker's own text is always there
        return None
    if lines and not lines[0].strip("-"):
        lines = lines[2:]
    text = "\n".join(lines).strip("\n")
    endings = (headline, f"{type(error).__name__}: {_text(error)}", _text(error))
    for ending in sorted(endings, key=len, reverse=True):  # one may be the end of another
        text = text.removesuffix(ending)
    return text.rstrip()


def _never_ran(error: BaseException) -> bool:
    return any(kind.__name__ == "DependencyFailed" for kind in type(error).__mro__)
