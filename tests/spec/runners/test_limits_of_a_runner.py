# SPDX-License-Identifier: Apache-2.0
"""What a Runner may use: its workers, where it can say how many, and the size of its package."""

from __future__ import annotations

from pathlib import Path

import pytest

from flamepy import Runner
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.errors import InvalidArgument, InvalidState, PackageError, RunnerClosed


def test_the_worker_limit_can_be_read_and_changed(embedded: EmbeddedEngine) -> None:
    with Runner("resized") as runner:
        assert runner.worker_limit == 2
        runner.resize(3)
        assert runner.worker_limit == 3
        for wrong in (0, -1, True, 2.5):
            with pytest.raises(InvalidArgument, match="whole number from 1 on"):
                runner.resize(wrong)  # type: ignore[arg-type]
    with pytest.raises(RunnerClosed):
        runner.resize(2)


def test_inside_a_worker_the_limit_is_that_of_the_program_outside(embedded: EmbeddedEngine) -> None:
    uplink = UplinkEngine(embedded.uplink_address)
    try:
        with Runner("inside", engine=uplink) as runner:
            assert runner.worker_limit is None
            with pytest.raises(InvalidState, match=r"cannot be resized from inside a call: .*FLAME_WORKERS"):
                runner.resize(3)
    finally:
        uplink.close()
    assert embedded.worker_limit == 2


def test_the_limit_of_the_package_is_the_callers(embedded: EmbeddedEngine, project: Path) -> None:
    (project / "data.bin").write_bytes(b"x" * 3000)
    with pytest.raises(PackageError, match=r"data\.bin"):
        Runner("limited", max_package_bytes=2000)
    (project / "more.bin").touch()
    with pytest.raises(PackageError, match="more than 1 files"):
        Runner("limited", max_package_files=1)
    with Runner("limited", max_package_bytes=3000) as runner:
        assert runner.package is not None
        assert runner.package.nbytes == 3000
