# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: an engine, in each of the ways to reach it, and proof that nothing is left of it."""

from __future__ import annotations

import functools
import gc
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from flamepy.config import ContextFields
from flamepy.config.records import FlameContextCache
from flamepy.engine.api import Engine
from flamepy.engine.current import shutdown, use_engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.testing import InlineEngine
from tests.sharing_out import SharingOut
from tests.signs import reached

if TYPE_CHECKING:
    from xdist.remote import Producer

LEAVE_S = 5.0  # the bound of the promise: five seconds after its end nothing of an engine is left


class Traces:
    """What an engine may leave behind in this process and on this machine: taken before, compared afterwards."""

    def __init__(self) -> None:
        self.processes = _descendants()
        self.threads = _our_threads()
        self.temporary = Path(tempfile.gettempdir())
        self.directories = _our_directories(self.temporary)
        self.descriptors = memory_descriptors()

    def assert_nothing_new(self) -> None:
        started = [process for process in _descendants() if process not in self.processes]
        _, alive = psutil.wait_procs(started, timeout=LEAVE_S)
        assert not alive, f"processes are left: {[' '.join(process.cmdline()) for process in alive]}"
        for thread in _our_threads() - self.threads:
            thread.join(LEAVE_S)
        assert not _our_threads() - self.threads, "threads are left"
        assert not _our_directories(self.temporary) - self.directories, "directories are left"
        if memory_descriptors() > self.descriptors:
            gc.collect()  # 0.05 s; an exception's traceback holds the values of its frames in a cycle
            # an engine that goes on keeps memory for a moment, to use it again
            assert reached(lambda: memory_descriptors() <= self.descriptors), "shared memory is left"


_kept: list[psutil.Process] = []  # of the server that the tests of this process share, not of its workers


def _descendants() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if each not in _kept]


def _our_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("flame")}


def _our_directories(temporary: Path) -> set[Path]:
    return set(temporary.glob("flame-*"))


def memory_descriptors() -> int:
    links = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            links.append(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            continue
    return sum("memfd:flame" in link for link in links)


@pytest.fixture(autouse=True)
def private_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No configuration of whoever runs the tests may have a say, and scratch directories are the test's own."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path_factory.mktemp("tmp")))
    for name in list(os.environ):
        if name.startswith("FLAME_"):
            monkeypatch.delenv(name)
    return home


@pytest.fixture(autouse=True)
def no_exception_is_being_handled() -> Iterator[None]:
    """After the test: else each later exception of this thread has one of this test in its traceback."""
    yield
    assert sys.exc_info()[1] is None, "this thread still handles an exception: was it raised by a trace function?"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project directory, which is the working directory."""
    directory = tmp_path / "project"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return directory


@pytest.fixture
def nothing_is_left(private_home: Path) -> Iterator[None]:
    """After the test: no process, thread, directory or shared memory of ours."""
    traces = Traces()
    yield
    shutdown()
    traces.assert_nothing_new()


@pytest.fixture
def embedded(project: Path, nothing_is_left: None) -> Iterator[EmbeddedEngine]:
    """The embedded engine with two workers, as the current engine, in an empty project directory."""
    engine = EmbeddedEngine(workers=2)
    try:
        with use_engine(engine):
            yield engine
    finally:
        engine.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharingOut:
    return SharingOut(config, log)


def pytest_collection_finish() -> None:
    freeze_what_is_loaded()


@pytest.fixture(scope="module", autouse=True)
def freeze_what_is_loaded_after_a_module() -> Iterator[None]:
    yield
    freeze_what_is_loaded()


def freeze_what_is_loaded() -> None:
    """What is loaded for good is not looked at again by each collection, IPython's among them: 0.1 s each."""
    gc.collect()
    gc.freeze()


def _cluster_of(environ: Mapping[str, str]) -> ContextFields | None:
    """The cluster that the tests shall run on, None = there is none."""
    if "FLAME_ENDPOINT" not in environ:
        return None
    return ContextFields(
        endpoint=environ["FLAME_ENDPOINT"], cache=FlameContextCache(environ.get("FLAME_CACHE_ENDPOINT"))
    )


CLUSTER = _cluster_of(os.environ)  # asked once, here: the tests themselves do not see these variables


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of what every engine does runs on those that its marks allow: see the markers in pyproject.toml."""
    if "engine" in metafunc.fixturenames:
        metafunc.parametrize("engine", engines_of(metafunc.definition), indirect=True)


def engines_of(test: pytest.Item) -> list[str]:
    """The names of the engines that a test runs on."""
    if CLUSTER is not None:
        return ["cluster"]
    return ["embedded", *(name for name in ENGINES if test.get_closest_marker(name) is not None)]


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine, as the current one, in an empty project directory: the one that the parameter names."""
    with ENGINES[request.param](request) as engine:
        yield engine


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextFields]:
    """What to connect to; a server of our own is started once, and nothing is left of it."""
    if CLUSTER is not None:
        yield CLUSTER
        return
    from tests.server.running import RunningServer

    server = RunningServer.of(tmp_path_factory.mktemp("cluster"), "--workers", "4")
    process = psutil.Process(server.process.pid)
    _kept.extend([process, *process.children(recursive=True)])
    try:
        yield ContextFields(endpoint=server.endpoint, cache=FlameContextCache(server.cache_endpoint))
    finally:
        assert server.end() == 0


@pytest.fixture(scope="session")
def tls_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContextFields]:
    """As ``cluster``, and encrypted: both sides show a certificate."""
    from tests.projects.certificates import Authority
    from tests.server.running import RunningServer

    authority = Authority(tmp_path_factory.mktemp("authority"))
    ours, client = authority.issue(), authority.issue("client.example")
    shown = ("--tls-cert", str(ours.cert_file), "--tls-key", str(ours.key_file), "--tls-client-ca", authority.ca_file)
    server = RunningServer.of(tmp_path_factory.mktemp("tls-cluster"), "--workers", "4", *shown, tls=client)
    process = psutil.Process(server.process.pid)
    _kept.extend([process, *process.children(recursive=True)])
    try:
        yield ContextFields(
            endpoint=server.endpoint, tls=client, cache=FlameContextCache(server.cache_endpoint, client)
        )
    finally:
        assert server.end() == 0


@contextmanager
def _inline(request: pytest.FixtureRequest) -> Iterator[Engine]:
    request.getfixturevalue("project")
    request.getfixturevalue("nothing_is_left")
    with InlineEngine() as engine:
        yield engine


@contextmanager
def _embedded(request: pytest.FixtureRequest) -> Iterator[Engine]:
    yield request.getfixturevalue("embedded")


@contextmanager
def _uplink(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """The embedded engine as a call in one of its workers reaches it."""
    uplink = UplinkEngine(request.getfixturevalue("embedded").uplink_address)
    try:
        with use_engine(uplink):
            yield uplink
    finally:
        uplink.close()


@contextmanager
def _cluster(request: pytest.FixtureRequest, fixture: str = "cluster") -> Iterator[Engine]:
    """The cluster that FLAME_ENDPOINT and FLAME_CACHE_ENDPOINT name, or a server of our own."""
    from flamepy.engine.cluster.engine import ClusterEngine

    cluster = request.getfixturevalue(fixture)
    request.getfixturevalue("project")
    request.getfixturevalue("nothing_is_left")
    engine = ClusterEngine(cluster)
    try:
        with use_engine(engine):
            yield engine
    finally:
        engine.close()


# A new engine is a row here.
ENGINES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Engine]]] = {
    "inline": _inline,
    "embedded": _embedded,
    "uplink": _uplink,
    "cluster": _cluster,
    "tls": functools.partial(_cluster, fixture="tls_cluster"),
}
