# SPDX-License-Identifier: Apache-2.0
"""Which tests run in which process, when pytest-xdist runs several: a file is never divided.

The tests of the browser are one part, the first one: they are the longest, they share a server, a browser and its
pages, and half of their time is Chromium's.
"""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

BROWSER = "tests/browser/"


class SharingOut(LoadFileScheduling):
    """Gives a process the next file when it has nearly done what it has."""

    def _split_scope(self, nodeid: str) -> str:
        return BROWSER if nodeid.startswith(BROWSER) else str(super()._split_scope(nodeid))
