# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy doctor``: is everything here that calls need, and if not, what to do. Exit code 1 if not."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from flamepy.tools.configuration import look_at_configuration
from flamepy.tools.findings import Finding, Report
from flamepy.tools.hiding import look_at_hiding_files
from flamepy.tools.installation import look_at_installation
from flamepy.tools.machine import look_at_limits, look_at_places
from flamepy.tools.selftest import run_self_test


def examine(more: Iterable[Finding] = ()) -> Report:
    """Look at everything, the self-test last. more: what the caller has found in its own part of the world."""
    return Report(tuple(_all(more)))


def main() -> int:
    """Print the report. Returns the exit code."""
    from flamepy.engine.current import shutdown

    try:
        report = examine()
    finally:
        shutdown()
    sys.stdout.write(report.text() + "\n")
    return 0 if report.is_well else 1


def _all(more: Iterable[Finding]) -> Iterator[Finding]:
    yield from look_at_installation()
    yield from look_at_hiding_files()
    yield from more
    yield from look_at_configuration()
    yield from look_at_limits()
    yield from look_at_places()
    yield from run_self_test()
