# SPDX-License-Identifier: Apache-2.0
"""A shell with the extension in this process, and real kernels in processes of their own that leave nothing behind."""

from __future__ import annotations

import atexit
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from flamepy.engine.local.engine import EmbeddedEngine
from tests.notebook.kernels import Kernel
from tests.notebook.shells import Shell
from tests.shared_engine import (
    an_engine_of_its_own,
    embedded,
    functions_of_tests_travel_by_value,
    shared_engine,
)

__all__ = ["an_engine_of_its_own", "embedded", "functions_of_tests_travel_by_value", "shared_engine"]


@pytest.fixture
def bare_shell(embedded: EmbeddedEngine) -> Iterator[InteractiveShell]:
    """IPython without the extension, in an empty project directory."""
    InteractiveShell.clear_instance()
    config = Config()
    config.HistoryManager.enabled = False
    shell = InteractiveShell.instance(config=config)
    yield shell
    shell.run_line_magic("unload_ext", "flame_jupyter")  # says so when it is not loaded, and does nothing
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: InteractiveShell) -> Shell:
    """IPython with the extension."""
    bare_shell.run_line_magic("load_ext", "flame_jupyter")
    return Shell(bare_shell)


@pytest.fixture
def start_kernel(project: Path, private_home: Path) -> Iterator[Callable[[], Kernel]]:
    """Starts kernels in the project directory; after the test each has ended, with all that it started."""
    kernels: list[Kernel] = []

    def start() -> Kernel:
        kernels.append(Kernel(project, private_home))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.end()
    for kernel in kernels:
        kernel.assert_nothing_is_left()


@pytest.fixture(scope="module")
def start_shared_kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path | None], Kernel]]:
    """Starts kernels that the tests of a module share, each with a project directory of its own."""
    kernels: list[Kernel] = []

    def start(environment: Path | None = None) -> Kernel:
        home = tmp_path_factory.mktemp("home")
        project = tmp_path_factory.mktemp("project")
        kernels.append(Kernel(project, home, environment))
        return kernels[-1]

    yield start
    for kernel in kernels:
        kernel.end()
    for kernel in kernels:
        kernel.assert_nothing_is_left()


@pytest.fixture
def kernel(start_kernel: Callable[[], Kernel]) -> Kernel:
    """A kernel with the extension loaded."""
    kernel = start_kernel()
    kernel.run("%load_ext flame_jupyter").check()
    return kernel
