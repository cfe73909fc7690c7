# SPDX-License-Identifier: Apache-2.0
"""A Jupyter server of the tests' own: directories, port and token belong to it, and nothing is left of its kernels."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[3]
START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 20
LEAVE_S = 5.0  # the promise: five seconds after the end of a kernel, however it ended, nothing is left


@dataclass
class Server:
    """A server that listens on this machine. directory: its notebooks; temporary: temporary files of its kernels."""

    url: str
    token: str
    directory: Path
    temporary: Path
    process: psutil.Process

    def processes_of(self, kernel_id: str | None) -> list[psutil.Process]:
        """A kernel and the processes that it has started; nothing where there is no such kernel."""
        kernels = [
            each for each in self.process.children() if kernel_id and f"{kernel_id}.json" in " ".join(each.cmdline())
        ]
        return [each for kernel in kernels for each in (kernel, *kernel.children(recursive=True))]

    def shut_kernels_down(self, prefix: str) -> None:
        """Those of the notebooks whose names begin so; nothing is left of them afterwards."""
        for session in json.loads(self._ask("GET", "api/sessions")):
            if session["path"].startswith(prefix):
                processes = self.processes_of(session["kernel"] and session["kernel"]["id"])
                self._ask("DELETE", f"api/sessions/{session['id']}")
                assert_have_ended(processes)

    def _ask(self, method: str, path: str) -> bytes:
        headers = {"Authorization": f"token {self.token}"}
        with urlopen(Request(self.url + path, method=method, headers=headers), timeout=STOP_TIMEOUT_S) as reply:
            return bytes(reply.read())


def assert_have_ended(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=LEAVE_S)
    assert not alive, f"processes are left: {alive}"


@contextmanager
def running_server(home: Path) -> Iterator[Server]:
    """A server whose every file lies in ``home``. Afterwards no process and no temporary directory of ours is left."""
    names = ("notebooks", "home", "config", "data", "runtime", "ipython", "workspaces", "tmp")
    places = {name: home / name for name in names}
    for directory in places.values():
        directory.mkdir()
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith("FLAME_")},
        "HOME": str(places["home"]),
        "TMPDIR": str(places["tmp"]),
        "JUPYTER_CONFIG_DIR": str(places["config"]),
        "JUPYTER_DATA_DIR": str(places["data"]),
        "JUPYTER_RUNTIME_DIR": str(places["runtime"]),
        "IPYTHONDIR": str(places["ipython"]),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(places["workspaces"]),
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
    }
    token = secrets.token_hex(16)
    arguments = [
        "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", "--ServerApp.port=0",
        f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={places['notebooks']}",
        "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
        "--ServerApp.jpserver_extensions={'notebook': True}", "--LabApp.extension_manager=readonly",
        "--ServerApp.terminals_enabled=False",
    ]  # fmt: skip
    log_path = home / "server.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environ, stdout=log, stderr=log, cwd=places["notebooks"]
        )
        started: list[psutil.Process] = []
        try:
            url = _wait_for_url(process, places["runtime"], log_path)
            server = Server(url, token, places["notebooks"], places["tmp"], psutil.Process(process.pid))
            yield server
            started = server.process.children(recursive=True)
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        assert_have_ended(started)
        assert not list(places["tmp"].glob("flame-*")), "temporary directories are left"


def _wait_for_url(process: subprocess.Popen[bytes], runtime: Path, log_path: Path) -> str:
    """The server writes its address into its run-time directory once it listens."""
    for _ in range(START_TIMEOUT_S * 10):
        for found in runtime.glob("jpserver-*.json"):
            try:
                return str(json.loads(found.read_text())["url"])
            except (ValueError, KeyError):  # half written
                continue
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            continue
        break
    pytest.fail(f"JupyterLab did not start within {START_TIMEOUT_S} s:\n{log_path.read_text()[-3000:]}")
