# SPDX-License-Identifier: Apache-2.0
"""Runners whose package lies on a server: S12 (S3 and HTTP storage) and S15 (versions) of the founding document."""

from __future__ import annotations

import importlib
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flamepy import FlameContext, FlameContextRunner, FlamePackage, NotFound, PackageError, Runner
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.runner import PackageKeptWarning
from tests.projects.storage_servers import Answer, http_server


def where_from() -> str:
    return str(importlib.import_module("module").NAME)


@pytest.fixture
def root(project: Path) -> Path:
    (project / "module.py").write_text("NAME = 'one'")
    return project


def context(url: str, template: str = "flmrun") -> FlameContext:
    return FlameContext(package=FlamePackage(storage=url), runner=FlameContextRunner(template=template))


@pytest.mark.cluster
def test_workers_run_what_was_fetched_from_a_server_and_the_runner_removes_it(engine: Engine, root: Path) -> None:
    with http_server() as server:
        with Runner("remote", context=context(server.url)) as runner:
            assert runner.service(where_from)().get() == "one"
            assert runner.package is not None
            assert list(server.files) == [f"/packages/{runner.package.path.name}"]
        assert server.files == {}
        assert server.methods().count("GET") == 1


def test_runners_share_what_has_the_same_content_and_the_last_one_removes_it(
    embedded: EmbeddedEngine, root: Path
) -> None:
    with http_server(moves=True) as server:
        with Runner("remote", context=context(server.url)) as first:
            old = first.service(where_from)
            assert old().get() == "one"
            with Runner("remote", context=context(server.url)):
                pass
            assert len(server.files) == 1, "the first one goes on"
            (root / "module.py").write_text("NAME = 'two'")
            with Runner("remote", context=context(server.url)) as newer:
                assert newer.service(where_from)().get() == "two"
                assert old().get() == "one"
                assert len(server.files) == 2
            assert len(server.files) == 1
        assert server.files == {}
        assert server.methods().count("MOVE") == 2, "each content was sent once"


def test_runners_of_one_name_may_use_different_storages(embedded: EmbeddedEngine, root: Path) -> None:
    with http_server() as here, http_server() as there:
        with Runner("remote", context=context(here.url)) as first:
            with Runner("remote", context=context(there.url)):
                assert len(there.files) == 1
            assert (len(here.files), len(there.files)) == (1, 0)
            assert first.service(where_from)().get() == "one"
        assert here.files == {}


def test_a_slow_server_holds_up_no_other_runner(embedded: EmbeddedEngine, root: Path) -> None:
    goes_on = threading.Event()
    with http_server() as server, ThreadPoolExecutor(1) as pool:
        server.answers["GET"] = [Answer(100, after=goes_on)]
        try:
            slow = pool.submit(Runner, "remote", context=context(server.url))
            assert server.waiting.wait(30)
            with Runner("local") as runner:
                assert runner.service(where_from)().get() == "one"
            assert not slow.done()
        finally:
            goes_on.set()
        with slow.result(30) as runner:
            assert runner.service(where_from)().get() == "one"


def test_a_server_that_is_gone_at_the_end_costs_a_warning(embedded: EmbeddedEngine, root: Path) -> None:
    with http_server() as server:
        runner = Runner("remote", context=context(server.url))
        assert runner.service(where_from)().get() == "one"
        server.answers["DELETE"] = [Answer(403)]
        with pytest.warns(PackageKeptWarning, match=r"stays in the storage: cannot delete remote-.*no permission"):
            runner.close()
        assert len(server.files) == 1


def test_a_start_that_fails_takes_back_what_it_has_uploaded(embedded: EmbeddedEngine, root: Path) -> None:
    with http_server() as server:
        with pytest.raises(NotFound, match="template"):
            Runner("remote", context=context(server.url, template="missing"))
        server.answers["GET"] = [Answer(403)]
        with pytest.raises(PackageError, match=r"cannot fetch remote-.*no permission"):
            Runner("remote", context=context(server.url))
        assert server.files == {}
