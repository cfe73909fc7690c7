# SPDX-License-Identifier: Apache-2.0
"""Which engine a process uses, and when it ends."""

from __future__ import annotations

import subprocess
import sys

import pytest

from flamepy.config import ContextFields
from flamepy.engine.select import start_engine
from flamepy.errors import InvalidArgument

# What a fresh interpreter runs: an engine that only counts how often it is closed, made by no configuration.
# From Python 3.12 on, fork warns in a process with threads; forking one is what some of these programs are about.
SETTING = """
import os, threading, types, warnings
from flamepy.engine import current

warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)

class Counted:
    is_alive = True
    info = types.SimpleNamespace(kind="counted")
    closed = 0
    def close(self, *, grace_s=5.0):
        self.closed += 1
        print("closed in", "parent" if os.getpid() == parent else "child", flush=True)
    def abandon_in_child(self):
        print("abandoned in", "parent" if os.getpid() == parent else "child", flush=True)

parent = os.getpid()
engine = Counted()
"""


def run(program: str) -> list[str]:
    """The lines that ``program`` prints in a fresh interpreter."""
    command = [sys.executable, "-c", SETTING + program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_the_engine_is_closed_when_the_interpreter_ends() -> None:
    program = "used = current.use_engine(engine); used.__enter__(); print('last line')"
    assert run(program) == ["last line", "closed in parent"]


def test_shutdown_closes_once() -> None:
    program = (
        "used = current.use_engine(engine); used.__enter__()\ncurrent.shutdown(); current.shutdown(); print('end')"
    )
    assert run(program) == ["closed in parent", "end"]


def test_an_engine_in_use_for_a_while_is_given_back() -> None:
    program = (
        "with current.use_engine(engine): print(current.current_engine() is engine)\nprint(current.existing_engines())"
    )
    assert run(program) == ["True", "[]"]


def test_a_forked_child_forgets_the_engine_even_while_another_thread_holds_the_lock() -> None:
    program = """
used = current.use_engine(engine)
used.__enter__()
held, release = threading.Event(), threading.Event()
def hold():
    with current._engines.lock:
        held.set()
        release.wait(30)
thread = threading.Thread(target=hold)
thread.start()
held.wait(30)
child = os.fork()
if child == 0:
    print("child has", current.existing_engines(), flush=True)
    current.shutdown()
    os._exit(0)
os.waitpid(child, 0)
release.set()
thread.join()
print("parent has", current.current_engine() is engine, flush=True)
"""
    assert run(program) == ["abandoned in child", "child has []", "parent has True", "closed in parent"]


NOWHERE = "http://127.0.0.1:1"  # nobody listens on the first port


@pytest.mark.parametrize(
    ("context", "environ", "cure"),
    [
        (ContextFields(endpoint=NOWHERE, source="f.yaml"), {}, r"remove 'endpoint' from f\.yaml"),
        (ContextFields(endpoint=NOWHERE), {"FLAME_ENDPOINT": NOWHERE}, "unset FLAME_ENDPOINT"),
        (ContextFields(endpoint=NOWHERE, source="f"), {"FLAME_ENDPOINT": NOWHERE}, "unset FLAME_ENDPOINT"),
    ],
)
def test_a_cluster_that_does_not_answer_is_told_with_the_way_back(
    context: ContextFields, environ: dict[str, str], cure: str, nothing_is_left: None
) -> None:
    with pytest.raises(InvalidArgument, match=rf"cannot use the cluster at {NOWHERE}: .*Connection refused.*{cure}"):
        start_engine(context, environ)
