# SPDX-License-Identifier: Apache-2.0
"""For tests of programs that use flamepy, and of engines: no processes, no waiting, everything in reach of the test.

``InlineEngine`` runs each call at once, in the thread that makes it. ``HandDrivenEngine`` holds calls until the test
says how they end. ``FaultyStore`` loses objects, ``ManualClock`` goes by hand, and ``check_engine`` says whether an
engine keeps the rules of all engines. ``use_engine`` makes any engine the one of this process for a while.

Example:
    >>> from flamepy import Runner
    >>> from flamepy.testing import InlineEngine
    >>> with InlineEngine(), Runner("docs") as runner:
    ...     runner.service(len)("four").get()
    4
"""

from flamepy.engine.current import use_engine
from flamepy.testing.clock import ManualClock
from flamepy.testing.conformance import BrokenRule, check_engine
from flamepy.testing.faulty_store import FaultyStore
from flamepy.testing.hand_driven import HandDrivenEngine
from flamepy.testing.inline import InlineEngine

__all__ = [
    "BrokenRule",
    "FaultyStore",
    "HandDrivenEngine",
    "InlineEngine",
    "ManualClock",
    "check_engine",
    "use_engine",
]
