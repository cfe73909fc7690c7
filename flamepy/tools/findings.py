# SPDX-License-Identifier: Apache-2.0
"""What the doctor finds: a subject, what was seen, whether that is well, and the cure when it is not. Plain data."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from enum import Enum

_WIDTH = 110  # columns; wider lines are no pleasure to read in a notebook or a terminal
_INDENT = 4


class Level(Enum):
    """NOTE: works, but may surprise. WRONG: something will not work."""

    WELL = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True)
class Finding:
    """group: the heading that it stands under. cure: what to do; empty when all is well."""

    group: str
    subject: str
    seen: str
    level: Level = Level.WELL
    cure: str = ""

    @classmethod
    def of_error(cls, group: str, subject: str, error: Exception) -> Finding:
        """Our errors say what first, and the cure in the sentences after it."""
        what, _, cure = str(error).partition(". ")
        return cls(group, subject, what, Level.WRONG, cure or "Report it together with this page.")


@dataclass(frozen=True)
class Report:
    findings: tuple[Finding, ...]

    @property
    def is_well(self) -> bool:
        return not self.wrong

    @property
    def wrong(self) -> list[Finding]:
        return [each for each in self.findings if each.level is Level.WRONG]

    def summary(self) -> str:
        count = len(self.wrong)
        if not count:
            return "Everything that was looked at works."
        return f"{count} problem{'' if count == 1 else 's'}: {', '.join(each.subject for each in self.wrong)}."

    def text(self) -> str:
        """For terminals: a heading for each group, a line for each finding, the cure below it."""
        width = max(len(each.subject) for each in self.findings)
        lines: list[str] = []
        group = ""
        for each in self.findings:
            if each.group != group:
                lines += ["", each.group]
                group = each.group
            mark = "" if each.level is Level.WELL else f"{each.level.value.upper()}: "
            lines += _wrapped(f"  {each.subject:<{width}}  ", mark + each.seen)
            if each.cure:
                lines += _wrapped(" " * (width + _INDENT), f"-> {each.cure}")
        return "\n".join([*lines[1:], "", self.summary()])


def _wrapped(head: str, text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,
        break_on_hyphens=False,
    ) or [head.rstrip()]
