# SPDX-License-Identifier: Apache-2.0
"""A notebook on a cluster: the same cells, results, errors and words as at home, and what only a cluster has.

One kernel, on a server of our own, or on the cluster that FLAME_ENDPOINT names.
"""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest

from flamepy.config import ContextFields
from flamepy.tools.cluster import look_at_cluster
from flamepy.tools.findings import Level
from tests.notebook.kernels import Kernel, Reply
from tests.notebook.sessions.test_notebooks import NOTEBOOKS, QUICKSTART_RESULTS

pytestmark = [pytest.mark.kernel, pytest.mark.cluster]

BOUND_S = 60.0
QUICKSTART = NOTEBOOKS / "quickstart.ipynb"
GATED = """%%flame_service gated --quiet
def gated(gate):
    import os, time
    print("at the gate", flush=True)
    while not os.path.exists(gate):
        time.sleep(0.02)
    return "through\""""
COUNTER = """%%flame_service Counter
class Counter:
    def __init__(self, start=0):
        self.value = start
    def add(self, n):
        self.value += n
        return self.value"""
USES_HELPER = "%%flame_service scaled\ndef scaled(x):\n    from helper import FACTOR\n    return FACTOR * x"
FAILS = "%%flame_service fails --quiet\ndef fails(x):\n    y = x\n    raise ValueError(f'no {y}')"


@pytest.fixture(scope="module")
def kernel(start_shared_kernel: Callable[[Path | None], Kernel], cluster: ContextFields) -> Kernel:
    """Its file has the contexts home, there, and gone; a Runner is open in the one that is there."""
    kernel = start_shared_kernel(None)
    configuration = kernel.temporary.parent / ".flame" / "flame.yaml"
    configuration.parent.mkdir()
    cache = "" if cluster.cache.endpoint is None else f"\n    cache: {{endpoint: '{cluster.cache.endpoint}'}}"
    configuration.write_text(
        "current-context: home\ncontexts:\n  - name: home\n"
        f"  - name: there\n    cluster: {{endpoint: '{cluster.endpoint}'}}{cache}\n"
        f"  - name: gone\n    cluster: {{endpoint: 'http://127.0.0.1:{_free_port()}'}}\n"
    )
    (kernel.project / "helper.py").write_text("FACTOR = 2\n")
    kernel.run("%load_ext flame_jupyter").check()
    kernel.run("%flame_runner start --cluster there --quiet").check()
    return kernel


@pytest.fixture
def gate(kernel: Kernel, tmp_path: Path) -> Iterator[Path]:
    """What calls of ``gated`` wait for; none waits after the test."""
    kernel.run(GATED).check()
    gate = tmp_path / "gate"
    yield gate
    gate.touch()
    kernel.run("%flame_runner wait --quiet").check()


def test_contexts_tells_what_answers_and_how_fast(kernel: Kernel, cluster: ContextFields) -> None:
    rows = shown(kernel.run("%flame_runner contexts").check()).splitlines()[2:]
    assert [row.replace("*", " ").split()[0] for row in rows] == ["home", "there", "gone"]
    assert rows[0].endswith("runs here")
    assert re.search(rf"{re.escape(str(cluster.endpoint))}  in \d+ ms: \d+ nodes?, \d+ slots?$", rows[1]), rows[1]
    assert rows[2].endswith("no: Connection refused")


def test_a_call_its_view_and_its_output_are_those_of_home(kernel: Kernel) -> None:
    text = kernel.run("%%flame_service double\ndef double(x):\n    print('doubling', x)\n    return 2 * x").check().text
    assert text == "double: function, ready\n"
    reply = kernel.run("call = double(21)\ncall.wait()\ncall").check()
    assert re.fullmatch(r"double\(21\) #\d+: done in .*\nint, 5 bytes\n42\nOutput, 1 line:\ndoubling 21", shown(reply))


def test_the_quickstart_gives_the_results_of_home(kernel: Kernel) -> None:
    """Functions, objects with state, futures as arguments, errors; papermill sets the context as it is set here."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    results = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or cell.id in ("load", "stop"):
            continue
        source = cell.source.replace('context = "default"', 'context = "there"').replace("200_000", "1_000")
        reply = kernel.run(source).check()
        if name := cell.metadata.get("flame_result"):
            results[name] = (reply.text or shown(reply)).strip()
    assert results == QUICKSTART_RESULTS


def test_an_error_has_the_lines_of_its_cell(kernel: Kernel) -> None:
    kernel.run(FAILS).check()
    reply = kernel.run("x = 3\nfails(x).get()")
    assert reply.ename == "ValueError"
    assert re.search(r"Cell In\[\d+\], line 4, in fails\n", reply.traceback)
    assert "---->   4     raise ValueError(f'no {y}')" in reply.traceback
    assert re.search(r"called from Cell In\[\d+\], line 2: fails\(x\)\.get\(\)\n\nValueError: no 3$", reply.traceback)


def test_output_is_there_while_a_call_runs_and_a_call_that_runs_can_be_cancelled(kernel: Kernel, gate: Path) -> None:
    kernel.run(f"call = gated({str(gate)!r})").check()
    assert "at the gate" in until(kernel, "%flame_runner logs call", lambda reply: "at the gate" in reply.text).text
    assert kernel.run("%flame_runner cancel call").check().text == "Flame: cancelled 1 call.\n"
    assert kernel.run("call.get(20)").ename == "CallCancelled"


def test_an_edited_file_makes_a_new_service_with_a_new_package(kernel: Kernel) -> None:
    kernel.run(USES_HELPER).check()
    assert kernel.run("print(scaled(4).get())").check().text == "8\n"
    (kernel.project / "helper.py").write_text("FACTOR = 30\n")
    assert kernel.run(USES_HELPER).check().text == "scaled: redefined, because helper.py changed\n"
    assert kernel.run("print(scaled(4).get())").check().text == "120\n"


def test_panel_and_status_say_how_the_cluster_is_and_why_calls_wait(
    kernel: Kernel, gate: Path, cluster: ContextFields
) -> None:
    slots = json.loads(kernel.run("%flame_runner status --json").check().text)["cluster"]["slots"]
    kernel.run(f"calls = [gated({str(gate)!r}) for _ in range({2 * slots + 1})]").check()
    reply = until(kernel, "%flame_runner status", lambda reply: "Waiting: " in shown(reply))
    lines = shown(reply).splitlines()
    assert re.fullmatch(rf"Engine: cluster there at {re.escape(str(cluster.endpoint))}, answers in \d+ ms", lines[1])
    assert re.match(rf"Executors: \d+ nodes?, {slots} slots?: \d+ used here \(on .+\)", lines[2])
    assert lines[3].startswith("Package: 1 file, "), "our own worker, which travels along, is not counted"
    assert re.search(
        r"^Waiting: (?:the service's|all|a worker starts|the cluster is about)", shown(reply), re.MULTILINE
    )
    kernel.run("%flame_runner cancel calls --quiet").check()


def test_one_line_moves_the_services_home_and_back(kernel: Kernel, cluster: ContextFields) -> None:
    kernel.run("%flame_runner restart --quiet").check()
    kernel.run(COUNTER).check()
    kernel.run("Counter.add(5).get()").check()
    said = kernel.run("%flame_runner use local").check().text
    assert said.startswith("Flame: ")
    assert said.endswith("now run on this machine. The state of Counter does not move: it begins anew.\n")
    assert kernel.run("print(Counter.add(1).get())").check().text == "1\n"
    assert "UsageError: context 'gone': http://127.0.0.1:" in kernel.run("%flame_runner use gone").text
    assert f"now run on the cluster at {cluster.endpoint}." in kernel.run("%flame_runner use there").check().text
    assert kernel.run("print(Counter.add(2).get())").check().text == "2\n"


def test_the_doctor_looks_at_the_cluster(cluster: ContextFields) -> None:
    found = {each.subject: each for each in look_at_cluster(cluster)}
    assert list(found)[:4] == ["endpoint", "nodes", "executors", "sessions"]
    assert Level.WRONG not in [each.level for each in found.values()]
    assert "answers in" in found["endpoint"].seen


def shown(reply: Reply) -> str:
    """The text of the last thing that a cell shows."""
    return reply.data[-1]["text/plain"]


def until(kernel: Kernel, cell: str, is_it: Callable[[Reply], bool]) -> Reply:
    """Run the cell again until its reply is the one looked for."""
    deadline_s = time.monotonic() + BOUND_S
    while True:
        reply = kernel.run(cell).check()
        if is_it(reply):
            return reply
        assert time.monotonic() < deadline_s, reply


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
