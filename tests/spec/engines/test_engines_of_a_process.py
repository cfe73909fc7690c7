# SPDX-License-Identifier: Apache-2.0
"""A Runner uses the engine of its context, whatever ran before."""

from __future__ import annotations

import warnings

import pytest

import flamepy
from flamepy import FlameConfigWarning, InvalidArgument, Runner
from flamepy.config import ContextFields
from flamepy.engine.current import existing_engines


def test_contexts_that_connect_to_the_same_share_an_engine(project: None, nothing_is_left: None) -> None:
    with Runner("one", context=ContextFields()), Runner("two", context=ContextFields(name="other")):
        assert len(existing_engines()) == 1


def test_after_a_local_runner_a_cluster_is_still_a_cluster(project: None, nothing_is_left: None) -> None:
    cluster = ContextFields(endpoint="http://127.0.0.1:1")
    with Runner("local"):
        with pytest.raises(InvalidArgument, match=r"cannot use the cluster at http://127\.0\.0\.1:1"):
            Runner("remote", context=cluster)
        assert len(existing_engines()) == 1


def test_a_number_of_workers_that_is_not_used_is_told(project: None, nothing_is_left: None) -> None:
    with Runner("first", context=ContextFields(workers=1)):
        with pytest.warns(FlameConfigWarning, match=r"runs with 1 workers already, so the 3 that .*resize"):
            Runner("second", context=ContextFields(workers=3)).close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            Runner("third", context=ContextFields(workers=1)).close()
            Runner("fourth", context=ContextFields()).close()
    flamepy.shutdown()
    with Runner("fifth", context=ContextFields(workers=3)) as runner:
        assert runner.worker_limit == 3
