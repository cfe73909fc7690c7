# SPDX-License-Identifier: Apache-2.0
"""Exported cells in real kernels: ids of cells, and replies as front ends see them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.notebook.kernels import Kernel, Reply

pytestmark = pytest.mark.kernel


def run_cell(kernel: Kernel, cell_id: str, code: str) -> Reply:
    """Run a cell as JupyterLab and Notebook 7 do it: with its id, and with a person who watches."""
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": True}
    message = kernel.client.session.msg("execute_request", content, metadata={"cellId": cell_id})
    kernel.client.shell_channel.send(message)
    return kernel.finish(message["header"]["msg_id"])


def test_cells_of_a_notebook_of_jupyterlab_are_exported_by_their_ids_and_under_its_name(
    start_kernel: Callable[[], Kernel], project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = new_notebook(cells=[new_code_cell("#| export\nSAVED = 'other'")])
    nbformat.write(node, project / "other.ipynb")
    node.cells[0].source = "#| export\nSAVED = 'stale'"
    nbformat.write(node, project / "model.ipynb")  # the running one: what is on the disk does not count
    monkeypatch.setenv("JPY_SESSION_NAME", str(project / "model.ipynb"))
    kernel = start_kernel()
    kernel.run("%load_ext flame_jupyter").check()
    run_cell(kernel, "a", "#| export\nx = 1").check()
    run_cell(kernel, "b", "#| export\ndef f(): return x").check()
    run_cell(kernel, "a", "#| export\nx = y = 2").check()
    run_cell(
        kernel,
        "c",
        "%%flame_service use\ndef use():\n    import model_cells, notebook_cells, other_cells\n"
        "    return model_cells.f(), hasattr(model_cells, 'SAVED'), other_cells.SAVED",
    ).check()
    assert kernel.run("print(use().get())").text == "(2, False, 'other')\n"
    table = run_cell(kernel, "d", "%flame_runner cells").check().data[0]["text/plain"]
    assert [line.split()[2] for line in table.split("\n")[1:]] == ["x,", "f"]
    plan = run_cell(kernel, "d", "%flame_runner package --dry-run").check().data[0]["text/plain"]
    assert "(from the notebook path, JPY_SESSION_NAME)" in plan
    assert "model_cells.py" in plan


def test_a_cell_that_cannot_be_exported_runs_and_typing_it_says_nothing(kernel: Kernel) -> None:
    cell = "#| export\nx = 1\n!true"
    reply = kernel.run(cell)
    assert reply.status == "ok"
    assert reply.text.count("line 3 of the exported cell is not plain Python: !true") == 1
    assert kernel.answer(kernel.send("is_complete_request", {"code": cell}))["status"] == "complete"
    assert kernel.run("print('x' in globals())").text == "True\n"
