# SPDX-License-Identifier: Apache-2.0
"""One embedded engine for the tests of a module, as long as each leaves it as it found it.

A conftest.py imports the fixtures: there ``embedded`` takes the place of the one that makes an engine for each test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cloudpickle
import pytest

from flamepy.core.session import SessionState
from flamepy.engine.current import existing_engines, shutdown, use_engine
from flamepy.engine.local.apps.registry import BUILT_IN
from flamepy.engine.local.engine import EmbeddedEngine
from tests.conftest import Traces
from tests.signs import reached

WORKERS = 2


class SharedEngine:
    """An engine that is made on first use, and again after a test that has ended or changed it."""

    def __init__(self) -> None:
        self._engine: EmbeddedEngine | None = None
        self.is_for_one_test = False

    def engine(self) -> EmbeddedEngine:
        if self._engine is None:
            self._before = Traces()
            self._engine = EmbeddedEngine(workers=WORKERS)
        return self._engine

    def is_kept(self) -> bool:
        """After a test: is nothing of the test in the engine? One that is not kept is ended, with all its traces."""
        if self._engine is not None and (self.is_for_one_test or not _is_clean(self._engine)):
            self.close()
        return self._engine is not None

    def close(self) -> None:
        """Nothing of the engine and of what its tests left in it remains."""
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.close()
            self._before.assert_nothing_new()


def _is_clean(engine: EmbeddedEngine) -> bool:
    """No open session, no application of a test, no worker; workers of what was closed end within moments."""
    if not engine.is_alive or engine.worker_limit != WORKERS:
        return False
    if any(each.state is SessionState.OPEN for each in engine.sessions.list()):
        return False
    return {each.name for each in engine.applications.list()} <= BUILT_IN.keys() and reached(
        lambda: not engine.workers()
    )


@pytest.fixture(scope="module", autouse=True)
def functions_of_tests_travel_by_value(request: pytest.FixtureRequest) -> Iterator[None]:
    """As those of a notebook do. A worker that imports a module of tests loads pytest as well: 0.2 to 0.4 s each."""
    cloudpickle.register_pickle_by_value(request.module)
    yield
    cloudpickle.unregister_pickle_by_value(request.module)


@pytest.fixture(scope="module")
def shared_engine() -> Iterator[SharedEngine]:
    shared = SharedEngine()
    yield shared
    shared.close()


@pytest.fixture
def an_engine_of_its_own(shared_engine: SharedEngine) -> Iterator[None]:
    """For a test that replaces or removes a part of the engine itself. Stands before ``embedded``."""
    shared_engine.close()
    shared_engine.is_for_one_test = True
    yield
    shared_engine.is_for_one_test = False


@pytest.fixture
def embedded(project: Path, private_home: Path, shared_engine: SharedEngine) -> Iterator[EmbeddedEngine]:
    """The embedded engine with two workers, as the current engine, in an empty project directory."""
    engine = shared_engine.engine()
    traces = Traces()
    try:
        with use_engine(engine):
            try:
                yield engine
            finally:
                for each in existing_engines():  # what the test has started besides, or in place of this one
                    if each is not engine:
                        each.close()
    finally:
        shutdown()
        if shared_engine.is_kept():
            traces.assert_nothing_new()
