# SPDX-License-Identifier: Apache-2.0
"""The twelve tests that the founding document names, on every engine."""

from __future__ import annotations

from pathlib import Path

import pytest

import flamepy
from flamepy import FlameContext, FlameError, FlameErrorCode, FlamePackage, ObjectFuture, Runner, RunnerService
from flamepy.core.cache import ObjectRef
from flamepy.engine.api import Engine


@pytest.fixture
def project(project: Path) -> Path:
    """A working directory with a file to package."""
    (project / "README.md").write_text("a project\n")
    return project


def add(a: int, b: int) -> int:
    return a + b


class Counter:
    def __init__(self, initial: int = 0) -> None:
        self._count = initial

    def add(self, a: int) -> int:
        self._count = self._count + a
        return self._count

    def get_counter(self) -> int:
        return self._count


@pytest.mark.inline
def test_runner_context_manager(engine: Engine) -> None:
    with Runner("lifecycle") as runner:
        registered = flamepy.get_application("lifecycle")
        assert registered is not None
        assert registered.url is not None
        assert runner.package is not None
        assert runner.package.files == 1
        assert not runner.is_closed()
    assert runner.is_closed()
    assert flamepy.get_application("lifecycle") is None
    runner.close()
    assert runner.is_closed()


@pytest.mark.inline
@pytest.mark.uplink
def test_runner_with_function(engine: Engine) -> None:
    with Runner("function") as runner:
        service = runner.service(add)
        assert isinstance(service, RunnerService)
        future = service(1, 3)
        assert isinstance(future, ObjectFuture)
        assert future.get() == 4


@pytest.mark.inline
@pytest.mark.uplink
def test_runner_with_class(engine: Engine) -> None:
    with Runner("class") as runner:
        counter = runner.service(Counter)
        counter.add(1)
        counter.add(3)
        assert counter.get_counter().get() == 4


@pytest.mark.inline
def test_runner_with_instance(engine: Engine) -> None:
    with Runner("instance") as runner:
        counter = runner.service(Counter(10))
        counter.add(1)
        counter.add(3)
        assert counter.get_counter().get() == 14


@pytest.mark.inline
@pytest.mark.uplink
def test_runner_with_objectfuture_args(engine: Engine) -> None:
    with Runner("future-args") as runner:
        counter = runner.service(Counter(10))
        counter.add(1)
        counter.add(3)
        counter.add(counter.get_counter())
        assert counter.get_counter().get() == 28


@pytest.mark.inline
def test_runner_multiple_services(engine: Engine) -> None:
    with Runner("several") as runner:
        sums, one, other = runner.service(add), runner.service(Counter), runner.service(Counter(100))
        one.add(1)
        other.add(2)
        assert runner.get([sums(5, 7), one.get_counter(), other.get_counter()]) == [12, 1, 102]
        assert [each.name for each in runner.services()] == ["add", "Counter", "Counter"]


@pytest.mark.inline
def test_runner_with_kwargs(engine: Engine) -> None:
    with Runner("kwargs") as runner:
        service = runner.service(add)
        assert service(a=1, b=3).get() == 4
        assert service(1, b=service(a=1, b=1)).get() == 3


def test_runner_package_excludes(engine: Engine, project: Path) -> None:
    for name in ("kept.txt", "left.log", "more.pkl"):
        (project / name).write_text(name)
    package = FlamePackage(excludes=[*FlamePackage().excludes, "*.log", "*.pkl"])

    def listing() -> list[str]:
        import os

        return sorted(os.listdir())

    with Runner("excludes", context=FlameContext(package=package)) as runner:
        assert runner.service(listing)().get() == ["README.md", "kept.txt"]


@pytest.mark.inline
def test_objectfuture_ref_method(engine: Engine) -> None:
    with Runner("refs") as runner:
        service = runner.service(add)
        future = service(2, 3)
        ref = future.ref()
        assert isinstance(ref, ObjectRef)
        assert ref.key.startswith("refs/")
        assert future.ref() == ref
        assert service(ref, 1).get() == 6
        assert runner.ref([future]) == [ref]


@pytest.mark.inline
@pytest.mark.uplink
def test_runner_service_close(engine: Engine) -> None:
    with Runner("closing") as runner:
        service = runner.service(add)
        future = service(1, 1)
        service.close()
        assert future.get() == 2
        with pytest.raises(FlameError, match=r"'add' is closed.*Create it again"):
            service(1, 1)
        service.close()
        assert runner.service(add)(2, 2).get() == 4


def test_flame_package_dataclass() -> None:
    assert FlamePackage(storage="file:///opt/flame/packages").excludes == [
        ".venv", "__pycache__", ".gitignore", "*.pyc",
    ]  # fmt: skip
    package = FlamePackage(storage="file:///opt/flame/packages", excludes=["*.log", "*.pkl"])
    assert (package.storage, package.excludes) == ("file:///opt/flame/packages", ["*.log", "*.pkl"])


def test_runner_error_no_package_config(tmp_path: Path) -> None:
    file = tmp_path / "flame.yaml"
    file.write_text(
        "current-cluster: flame\nclusters:\n  - name: flame\n    endpoint: 'http://127.0.0.1:1'\n"
        "    cache: 'http://127.0.0.1:2'\n"
    )
    with pytest.raises(FlameError) as caught:  # before anything tries to connect
        Runner("no-package", context=FlameContext(file, environ={}))
    assert caught.value.code is FlameErrorCode.INVALID_CONFIG
    assert "package" in str(caught.value)
