# SPDX-License-Identifier: Apache-2.0
"""The bar of an upload: for those that take long."""

from __future__ import annotations

import pytest
from freezegun import freeze_time

from flamepy.runner.deploy.upload_bar import APPEARS_AFTER_S, upload_bar


def test_an_upload_that_takes_long_shows_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with freeze_time() as clock, upload_bar("app") as tell:
        tell(0, 4 << 20)
        clock.tick(APPEARS_AFTER_S + 1)
        tell(3 << 20, 4 << 20)
        tell(1 << 20, 4 << 20)  # once more from the beginning
        assert "Uploading app:  75%" in capsys.readouterr().err


def test_a_quick_one_shows_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with upload_bar("app") as tell:
        tell(0, 4 << 20)
        tell(4 << 20, 4 << 20)
    with upload_bar("app"):
        pass  # the storage had it
    assert capsys.readouterr().err == ""
