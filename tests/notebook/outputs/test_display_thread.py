# SPDX-License-Identifier: Apache-2.0
"""The UI thread: in order, never blocking whoever posts, never dying of an event, gone when it is stopped."""

from __future__ import annotations

import contextvars
import logging
import threading

import pytest

from flame_jupyter.display.frontend.ui_thread import UiThread


def ui_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "flame-jupyter-ui"]


def test_events_run_in_order_on_one_thread_that_starts_with_the_first() -> None:
    ui = UiThread(lambda: None)
    assert ui_threads() == []
    seen: list[tuple[int, str]] = []
    for number in range(100):
        ui.post(lambda number=number: seen.append((number, threading.current_thread().name)))  # type: ignore[misc]
    assert ui.call(lambda: None, timeout_s=30)
    assert seen == [(number, "flame-jupyter-ui") for number in range(100)]
    ui.stop()
    assert ui_threads() == []


def test_the_thread_does_not_inherit_the_context_of_the_cell_that_started_it() -> None:
    parent = contextvars.ContextVar("parent", default="nobody")
    parent.set("cell 7")
    seen: list[str] = []
    ui = UiThread(lambda: None)
    ui.post(lambda: seen.append(parent.get()))
    ui.stop()
    assert seen == ["nobody"]


def test_an_event_that_raises_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    ui = UiThread(lambda: None)
    ui.post(lambda: 1 // 0)
    assert ui.call(lambda: None, timeout_s=30)
    ui.stop()
    assert "display event failed" in caplog.text


def test_the_tick_runs_by_itself_while_it_asks_for_it() -> None:
    ticks = threading.Semaphore(0)

    def tick() -> float | None:
        ticks.release()
        return 0.001

    ui = UiThread(tick)
    ui.post(lambda: None)
    for _ in range(5):
        assert ticks.acquire(timeout=30)
    ui.stop()


def test_a_tick_that_raises_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    def tick() -> float | None:
        raise RuntimeError("broken")

    ui = UiThread(tick)
    for _ in range(3):
        assert ui.call(lambda: None, timeout_s=30)
    ui.stop()
    assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == ["ERROR"]


def test_a_stopped_thread_starts_anew_with_the_next_event() -> None:
    ui = UiThread(lambda: None)
    ui.post(lambda: None)
    ui.stop()
    ui.stop()
    assert not ui.is_running
    assert ui.call(lambda: None, timeout_s=30)
    ui.stop()


def test_a_call_that_takes_too_long_is_given_up() -> None:
    ui, gate = UiThread(lambda: None), threading.Event()
    ui.post(lambda: gate.wait(30))
    assert not ui.call(lambda: None, timeout_s=0.01)
    gate.set()
    ui.stop()
