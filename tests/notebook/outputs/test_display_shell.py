# SPDX-License-Identifier: Apache-2.0
"""Displays in a plain IPython shell: text, once; installed and taken back without a trace."""

from __future__ import annotations

import atexit
import time
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from flame_jupyter.display import Settings, install, progress
from flame_jupyter.display.frontend.display_manager import DisplayManager
from flame_jupyter.display.frontend.history import History
from flamepy import Runner
from flamepy.engine.local.engine import EmbeddedEngine
from tests.notebook.display_parts import HandFuture


@pytest.fixture
def shell(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(history_length=0)
    yield shell
    atexit.unregister(shell.atexit_operations)
    shell.atexit_operations()
    shell.restore_sys_module_state()
    InteractiveShell.clear_instance()


def test_a_pending_future_is_printed_once(shell: InteractiveShell) -> None:
    front = DisplayManager(shell)
    with capture_output() as seen:
        front.show(HandFuture())
    (output,) = seen.outputs
    assert output.data["text/plain"].startswith("Counter.add(4) #3: running")
    front.close()


def test_a_finished_future_is_complete_at_once(shell: InteractiveShell) -> None:
    future = HandFuture()
    future.end()
    with capture_output() as seen:
        DisplayManager(shell).show(future)
    (output,) = seen.outputs
    assert output.data["text/plain"].endswith("\nint, 28 bytes\n28")
    assert "→" in output.data["text/html"]


def test_a_display_of_text_sends_no_html(shell: InteractiveShell) -> None:
    with capture_output() as seen:
        DisplayManager(shell, lambda: Settings(display="text")).show(HandFuture())
    assert list(seen.outputs[0].data) == ["text/plain"]


def test_installing_is_taken_back_without_a_trace(shell: InteractiveShell) -> None:
    assert shell.display_formatter is not None
    formatter = shell.display_formatter.ipython_display_formatter
    types, hooks = dict(formatter.type_printers), {name: list(each) for name, each in shell.events.callbacks.items()}
    undo = install(shell)
    assert formatter.type_printers != types
    undo()
    undo()
    assert formatter.type_printers == types
    assert shell.events.callbacks == hooks


def test_big_results_that_only_the_history_holds_are_found(shell: InteractiveShell) -> None:
    history, kept, named = History(shell), [], HandFuture(id=50)
    for number in range(6):
        future = named if number == 1 else HandFuture(id=number)
        future.end(nbytes=10_000 if number == 2 else 10_000_000)
        history.add(future)
        names = {"_": future, f"_{number}": future}
        shell.user_ns["Out"][number] = future
        shell.user_ns.update(names)
        shell.user_ns_hidden.update(names)
        if number == 3:
            kept.append(future)
    del future, names
    assert [found.id for found in history.left()] == [0, 4], "not the named, the small, the kept and the latest one"
    assert history.left() == []
    kept.clear()
    assert [found.id for found in history.left()] == [3]


def test_big_results_that_ipython_has_dropped_from_its_history_are_found_too(shell: InteractiveShell) -> None:
    history = History(shell)
    for number in range(5):
        future = HandFuture(id=number)
        future.end(nbytes=10_000_000)
        history.add(future)
        shell.execution_count = number + 1
        shell.displayhook.update_user_ns(future)
    del future
    with pytest.warns(UserWarning, match="Output cache limit"):  # as after a thousand results
        shell.displayhook.cull_cache()
    assert len(shell.user_ns["Out"]) < 5
    assert [found.id for found in history.left()] == [0, 1]


def test_an_object_future_is_what_ipython_shows(shell: InteractiveShell) -> None:
    from flamepy import ObjectFuture

    undo = install(shell)
    assert shell.display_formatter is not None
    assert ObjectFuture in shell.display_formatter.ipython_display_formatter.type_printers
    undo()


def test_in_a_terminal_progress_waits_and_leaves_a_bar(shell: InteractiveShell, embedded: EmbeddedEngine) -> None:
    with Runner("terminal") as runner:
        futures = [runner.service(time.sleep)(0.6) for _ in range(2)]
        with capture_output() as seen:
            progress(futures)
    assert all(future.done() for future in futures)
    assert "2/2" in seen.stderr
