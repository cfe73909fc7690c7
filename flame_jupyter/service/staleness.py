# SPDX-License-Identifier: Apache-2.0
"""Tells, once per service, that its files have changed since it was opened: its calls still run the old ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flame_jupyter.output import say
from flame_jupyter.wording import listed
from flamepy.errors import FlameError
from flamepy.front_ends import monotonic_s

if TYPE_CHECKING:
    from flame_jupyter.service.record import ServiceRecord

LOOK_EVERY_S = 2.0  # looking costs a stat of every file, and calls are made thousands at a time


class StalenessWatch:
    """policy: what the user wants, the trait ``on_drift``; now: a clock in seconds."""

    def __init__(self, policy: Callable[[], str], now: Callable[[], float] = monotonic_s) -> None:
        self._policy = policy
        self._now = now

    @property
    def repackages(self) -> bool:
        """Does an edited module make an unchanged cell a new service?"""
        return self._policy() == "repackage"

    @property
    def tells(self) -> bool:
        return self._policy() != "ignore"

    def note_opened(self, record: ServiceRecord) -> None:
        record.looked_at_s = self._now()

    def before_call(self, record: ServiceRecord) -> None:
        """Look whether the service still runs what lies on the disk, and say when it does not."""
        if record.is_told_stale or not self.tells or self._now() - record.looked_at_s < LOOK_EVERY_S:
            return
        record.looked_at_s = self._now()
        try:
            changed = record.changed_modules()
        except FlameError:  # a file that cannot be read is no reason to refuse a call
            return
        if changed:
            record.is_told_stale = True
            say(  # no warning, which a notebook shows in red, as if something had failed
                f"Note: {listed(changed)} changed since {record.variable} was defined: its calls still run the old "
                f"code. Run the cell that defines {record.variable} again."
            )
