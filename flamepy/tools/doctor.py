# SPDX-License-Identifier: Apache-2.0
"""``python -m flamepy doctor``: is everything here that calls need, and if not, what to do. Exit code 1 if not."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator

from flamepy.config import ContextFields, FlameContext
from flamepy.errors import InvalidConfig
from flamepy.tools.cluster import ENDPOINT, look_at_cluster
from flamepy.tools.configuration import look_at_configuration
from flamepy.tools.findings import Finding, Level, Report
from flamepy.tools.hiding import look_at_hiding_files
from flamepy.tools.installation import look_at_installation
from flamepy.tools.machine import look_at_limits, look_at_places
from flamepy.tools.selftest import run_self_test


def examine(more: Iterable[Finding] = (), context: ContextFields | None = None) -> Report:
    """Look at everything, the self-test last.

    more: what the caller has found in its own part of the world. context: where its calls run; None = as configured.
    """
    return Report(tuple(_all(more, context)))


def main() -> int:
    """Print the report. Returns the exit code."""
    from flamepy.engine.current import shutdown

    try:
        report = examine()
    finally:
        shutdown()
    sys.stdout.write(report.text() + "\n")
    return 0 if report.is_well else 1


def _all(more: Iterable[Finding], context: ContextFields | None) -> Iterator[Finding]:
    yield from look_at_installation()
    yield from look_at_hiding_files()
    yield from more
    yield from look_at_configuration()
    yield from look_at_limits()
    yield from look_at_places()
    with contextlib.suppress(InvalidConfig):  # which was told above
        context = context or FlameContext()
    cluster = [] if context is None else list(look_at_cluster(context))
    yield from cluster
    if not any(each.subject == ENDPOINT and each.level is Level.WRONG for each in cluster):
        yield from run_self_test(context=context)
