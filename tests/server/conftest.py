# SPDX-License-Identifier: Apache-2.0
"""One server for the tests of this room, and a package for it to run. Each test has sessions of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.running import RunningServer, make_archive


@pytest.fixture(scope="package")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("package") / "worker")


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With two workers, and proof that nothing is left of it."""
    running = RunningServer.of(tmp_path_factory.mktemp("server"), "--workers", "2", "--memory", "1m")
    try:
        yield running
    finally:
        assert running.end() == 0
