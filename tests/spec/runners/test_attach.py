# SPDX-License-Identifier: Apache-2.0
"""Handles of services that somebody else has opened on the same engine."""

from __future__ import annotations

import pickle
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

import flamepy
from flamepy import Runner, errors
from flamepy.engine.api import Engine
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.runner import attach, open_services


class Counter:
    def __init__(self) -> None:
        self._value = 0

    def add(self, amount: int) -> int:
        self._value += amount
        return self._value

    def up_to(self, end: int) -> Iterator[int]:
        yield from range(end)


def up_to(end: int) -> Iterator[int]:
    yield from range(end)


def double(number: int) -> int:
    return 2 * number


def test_without_an_engine_there_are_no_services_and_none_is_started(private_home: object) -> None:
    assert open_services() == []


def test_an_open_service_is_attached_by_its_name_or_its_session(embedded: EmbeddedEngine) -> None:
    with Runner("serving") as runner:
        counter = runner.service(Counter)
        runner.service(double, name="twice")
        counter.add(1).get()
        assert [each.name for each in open_services()] == ["Counter", "twice"]
        assert attach("Counter").add(2).get() == 3
        assert attach(open_services()[1].session_id)(4).get() == 8
        with pytest.raises(errors.NotFound, match=r"'Counetr'\. Did you mean 'Counter'"):
            attach("Counetr")
        with pytest.raises(errors.NotFound, match="Open are: Counter, twice"):
            attach("x")
        runner.service(double, name="twice")
        with pytest.raises(errors.InvalidArgument, match="2 open services are called 'twice': give one"):
            attach("twice")
    with pytest.raises(errors.NotFound, match="another process has an engine of its own"):
        attach("Counter")


def _attach_and_call(name: str) -> list[int]:
    return [attach(name)(4).get(), *(each.get() for each in attach("up_to")(2))]


@pytest.mark.inline
def test_a_call_can_attach_to_what_its_engine_serves(engine: Engine) -> None:
    with Runner("serving") as runner:
        runner.service(double)
        runner.service(up_to)
        assert runner.service(_attach_and_call)("double").get() == [8, 0, 1]


# What another process does with names that it got: of a service, of its methods, of a call, of an object.
ELSEWHERE = """
import pickle, sys
import flamepy
from flamepy.engine.current import existing_engines

if "own" in sys.argv:
    own = flamepy.Runner("own")
    assert own.service(abs)(-1).get(60) == 1
was = existing_engines()
function, counter, method, future, ref = names = pickle.load(sys.stdin.buffer)
uses = [
    lambda: function(1), lambda: counter.add(1), lambda: method(1), lambda: list(counter.up_to(2)),
    lambda: future.get(60),
    lambda: flamepy.get_object(ref), lambda: flamepy.update_object(ref, 1), lambda: flamepy.patch_object(ref, 1),
]
for use in uses:
    try:
        use()
    except flamepy.FlameError as error:
        print(type(error).__name__, error, file=sys.stderr)
assert existing_engines() == was
counter.close()
sys.stdout.buffer.write(pickle.dumps(names))
"""


@pytest.mark.parametrize("has_an_engine", [False, True])
def test_names_in_a_foreign_process_say_where_they_belong_and_start_nothing_there(
    embedded: EmbeddedEngine, tmp_path: Path, has_an_engine: bool
) -> None:
    with Runner("serving") as runner:
        counter, future = runner.service(Counter), runner.service(double)(2)
        names = runner.service(double), counter, counter.add, future, runner.put_object("stays")
        before = set(Path(tempfile.gettempdir()).glob("flame-*"))
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(ELSEWHERE), *(["own"] if has_an_engine else [])],
            input=pickle.dumps(names), capture_output=True, timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip
        said = done.stderr.decode().splitlines()
        assert done.returncode == 0, said
        assert len(said) == 8
        for line in said:
            assert line.startswith("InvalidState ")
            assert (
                "belongs to another process, or to an engine that has ended: use it in the process that made it" in line
            )
        assert [line.split(" ", 1)[1].split(":")[0] for line in said[:2]] == [
            "cannot call double",
            "cannot call Counter.add",
        ]
        assert set(Path(tempfile.gettempdir()).glob("flame-*")) == before
        function, counter, method, future, ref = pickle.loads(done.stdout)  # back again they are what they were
        assert [function(3).get(), counter.add(1).get(), method(2).get(), future.get()] == [6, 1, 3, 4]
        assert flamepy.get_object(ref) == "stays"
