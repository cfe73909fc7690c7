# SPDX-License-Identifier: Apache-2.0
"""Applications, sessions and tasks as bytes, the way programs for 0.6 use them."""

from __future__ import annotations

import concurrent.futures
import threading
import warnings
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

import flamepy
from flamepy.core.application import ApplicationAttributes, ApplicationState
from flamepy.core.session import SessionAttributes, SessionState
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Capability, Engine
from flamepy.errors import AlreadyExists, FlameError, InvalidState, NotFound, TaskFailed
from flamepy.runner import Runner, UnsupportedOptionWarning
from flamepy.runner.types import RunnerContext, RunnerRequest
from tests.signs import reached, worker_pids

TIMEOUT_S = 30


def context(execution_object: Any) -> bytes:
    return bytes(cloudpickle.dumps(RunnerContext(execution_object)))


def request(*args: Any, method: str | None = None, **kwargs: Any) -> bytes:
    return bytes(cloudpickle.dumps(RunnerRequest(method, args, kwargs)))


def value(output: bytes | None) -> Any:
    assert output is not None
    return cloudpickle.loads(output)


def open_service(execution_object: Any, application: str = "flmrun") -> flamepy.Session:
    return flamepy.create_session(application, context(execution_object))


def double() -> Callable[[int], int]:
    """A function that travels by value: workers of a session without a package cannot import this module."""

    def doubled(number: int) -> int:
        return number * 2

    return doubled


@pytest.mark.inline
@pytest.mark.uplink
def test_the_built_in_template_is_listed(engine: Engine) -> None:
    assert "flmrun" in {application.name for application in flamepy.list_applications()}
    template = flamepy.get_application("flmrun")
    assert template is not None
    assert template.state is ApplicationState.ENABLED


@pytest.mark.inline
@pytest.mark.uplink
def test_an_application_is_registered_used_and_removed(engine: Engine) -> None:
    template = flamepy.get_application("flmrun")
    assert template is not None
    flamepy.register_application("mine", {"command": template.command, "arguments": template.arguments})
    with pytest.raises(AlreadyExists, match="'mine' already exists"):
        flamepy.register_application("mine", ApplicationAttributes())
    session = open_service(double(), "mine")
    assert value(session.invoke(request(4))) == 8
    with pytest.raises(InvalidState):
        flamepy.unregister_application("mine")
    session.close()
    flamepy.unregister_application("mine")
    assert flamepy.get_application("mine") is None
    with pytest.raises(NotFound):
        flamepy.unregister_application("mine")


@pytest.mark.inline
@pytest.mark.uplink
def test_a_session_of_an_unknown_application_is_refused(engine: Engine) -> None:
    with pytest.raises(NotFound, match="'nothing-here' not found"):
        flamepy.create_session("nothing-here")


def serve_with(**options: Any) -> None:
    with Runner("asks") as runner:
        runner.service(divmod, **options)


TWO_CPUS = flamepy.ResourceRequirement.from_string("cpu=2")
WAYS: dict[str, Callable[..., object]] = {
    "create_session": lambda **options: flamepy.create_session("flmrun", **options),
    "Connection": lambda **options: flamepy.connect().create_session(SessionAttributes("flmrun", **options)),
    "open_session": lambda **options: flamepy.open_session("asked", SessionAttributes("flmrun", **options)),
    "Runner.service": serve_with,
}


@pytest.mark.parametrize(
    ("way", "option", "value"),
    [(way, "resreq", TWO_CPUS) for way in WAYS] + [(way, "batch_size", 4) for way in WAYS if way != "Runner.service"],
)
@pytest.mark.inline
@pytest.mark.uplink
def test_what_the_engine_does_not_heed_is_told_at_the_line_that_asks_for_it(
    engine: Engine, way: str, option: str, value: Any
) -> None:
    with pytest.warns(UnsupportedOptionWarning, match=f"{option}.* has no effect here: the ") as caught:
        WAYS[way](**{option: value})
    assert [each.filename for each in caught] == [__file__]


HOW_WORKERS_RUN: dict[str, Any] = {
    "shim": flamepy.Shim.WASM,
    "image": "python:3.12",
    "command": "/bin/true",
    "arguments": ["-x"],
    "working_directory": "/srv",
    "max_instances": 3,
    "delay_release": 7,
    "installer": "binary",
}


@pytest.mark.inline
@pytest.mark.uplink
def test_attributes_of_an_application_that_the_engine_does_not_heed_are_told(engine: Engine) -> None:
    with pytest.warns(UnsupportedOptionWarning) as caught:
        flamepy.register_application("asks", HOW_WORKERS_RUN)
    assert {each.filename for each in caught} == {__file__}
    told = [str(each.message).partition(" has no effect here: the ")[0] for each in caught]
    assert told == [f"{name}={value!r}" for name, value in HOW_WORKERS_RUN.items()]


@pytest.mark.inline
@pytest.mark.uplink
def test_environment_variables_of_an_application_are_set_or_a_warning_says_that_they_are_not(engine: Engine) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        flamepy.register_application("asks", {"environments": {"ASKED_FOR": "yes"}})
    told = [str(each.message) for each in caught]

    def asked_for() -> str | None:
        import os

        return os.environ.get("ASKED_FOR")

    got = value(open_service(asked_for, "asks").invoke(request()))
    if Capability.ENVIRONMENTS in engine.info.capabilities:
        assert (got, told) == ("yes", [])
    else:
        assert got is None
        assert [each.partition(" has no effect here")[0] for each in told] == ["environments={'ASKED_FOR': 'yes'}"]


@pytest.mark.inline
@pytest.mark.uplink
def test_a_session_starts_as_many_workers_as_it_wants_at_least(engine: Engine) -> None:
    flamepy.create_session("flmrun", min_instances=2)
    assert engine.info.kind == "inline" or reached(lambda: len(engine.workers()) == 2)


@pytest.mark.inline
@pytest.mark.uplink
def test_a_session_gives_back_its_common_data(engine: Engine) -> None:
    data = context(double())
    session = flamepy.create_session("flmrun", data, session_id="by-name")
    assert session.common_data() == data
    assert flamepy.open_session("by-name").common_data() == data
    with pytest.raises(AlreadyExists):
        flamepy.create_session("flmrun", data, session_id="by-name")


@pytest.mark.inline
@pytest.mark.uplink
def test_open_session_makes_what_is_missing_and_finds_what_is_there(engine: Engine) -> None:
    with pytest.raises(FlameError, match="not found"):
        flamepy.open_session("later")
    spec = SessionAttributes("flmrun", common_data=context(double()))
    assert flamepy.open_session("later", spec).id == "later"
    assert value(flamepy.open_session("later", spec).invoke(request(2))) == 4


@pytest.mark.inline
@pytest.mark.uplink
def test_a_closed_session_takes_no_tasks(engine: Engine) -> None:
    session = open_service(double())
    session.close()
    assert session.state is SessionState.CLOSED
    assert flamepy.get_session(session.id).state is SessionState.CLOSED
    with pytest.raises(FlameError, match="not open"):
        session.run(request(1))
    with pytest.raises(FlameError, match="not open"):
        flamepy.open_session(session.id)
    flamepy.close_session(session.id)


@pytest.mark.inline
@pytest.mark.uplink
def test_tasks_run_and_give_their_values(engine: Engine) -> None:
    session = open_service(double())
    futures = [session.run(request(number)) for number in range(8)]
    done, waiting = concurrent.futures.wait(futures, TIMEOUT_S)
    assert not waiting
    assert done == set(futures)
    assert [value(future.result()) for future in futures] == [0, 2, 4, 6, 8, 10, 12, 14]


@pytest.mark.inline
@pytest.mark.uplink
def test_an_object_keeps_its_state_between_tasks(engine: Engine) -> None:
    class Counter:
        def __init__(self, initial: int) -> None:
            self.count = initial

        def add(self, number: int) -> int:
            self.count += number
            return self.count

    session = open_service(Counter(10))
    session.run(request(1, method="add"))
    session.run(request(number=3, method="add"))
    assert value(session.invoke(request(0, method="add"))) == 14


@pytest.mark.uplink
def test_a_big_value_arrives_as_one_pickle(engine: Engine) -> None:
    def ones(length: int) -> Any:
        import numpy as np

        return np.ones(length)

    assert value(open_service(ones).run(request(1_000_000)).result(TIMEOUT_S)).sum() == 1_000_000


@pytest.mark.inline
@pytest.mark.uplink
def test_a_failed_task_raises_what_the_worker_said(engine: Engine) -> None:
    def fail() -> None:
        raise ValueError("the reason")

    session = open_service(fail)
    future = session.run(request())
    with pytest.raises(TaskFailed, match="ValueError: the reason") as caught:
        future.result(TIMEOUT_S)
    assert "in fail" in caught.value.flame_traceback
    with pytest.raises(FlameError, match="the reason"):
        session.invoke(request())


@pytest.mark.uplink
def test_the_events_of_a_failed_task_say_why(engine: Engine) -> None:
    def fail(data: bytes) -> None:
        raise ValueError("the reason", data)

    session = open_service(fail)
    task = session.create_task(request(bytes(100_000)))
    *_, watched = session.watch_task(task.id, timeout=TIMEOUT_S)
    for seen in (watched, session.get_task(task.id), next(each for each in session.list_tasks() if each.id == task.id)):
        assert seen.state is TaskState.FAILED
        message = seen.events[-1].message
        assert message is not None
        assert message.startswith("ValueError: ('the reason', b'")
        assert len(message) < 2_000


@pytest.mark.inline
@pytest.mark.uplink
def test_a_created_task_is_watched_and_looked_up(engine: Engine) -> None:
    session = open_service(double())
    data = request(21)
    task = session.create_task(data)
    states = [change.state for change in session.watch_task(task.id, timeout=TIMEOUT_S)]
    assert states[-1] is TaskState.SUCCEED
    assert set(states) <= {TaskState.PENDING, TaskState.RUNNING, TaskState.SUCCEED}
    ended = session.get_task(task.id)
    assert (ended.state, ended.input) == (TaskState.SUCCEED, data)
    assert value(ended.output) == 42
    assert ended.is_completed()
    assert [listed.id for listed in session.list_tasks()] == [task.id]
    with pytest.raises(NotFound):
        session.get_task("999")


@pytest.mark.inline
@pytest.mark.uplink
def test_an_informer_hears_a_task_through(engine: Engine) -> None:
    class Log:
        def __init__(self) -> None:
            self.states: list[TaskState] = []
            self.errors: list[FlameError] = []

        def on_update(self, task: Task) -> None:
            self.states.append(task.state)

        def on_error(self, error: FlameError) -> None:
            self.errors.append(error)

    log = Log()
    assert value(open_service(double()).invoke(request(1), log)) == 2
    assert (log.states[-1], log.errors) == (TaskState.SUCCEED, [])


@pytest.mark.inline
@pytest.mark.uplink
def test_more_tasks_than_threads_of_a_pool_are_answered(engine: Engine) -> None:
    session = open_service(double())
    answered = threading.Semaphore(0)
    futures = [session.run(request(number)) for number in range(50)]
    for future in futures:
        future.add_done_callback(lambda _: answered.release())
    for _ in futures:
        assert answered.acquire(timeout=TIMEOUT_S)


@pytest.mark.uplink
def test_a_task_can_be_cancelled_while_it_runs(engine: Engine) -> None:
    def wait_long() -> None:
        import time

        time.sleep(600)

    session = open_service(wait_long)
    future = session.run(request())
    assert future.cancel()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(TIMEOUT_S)
    assert future.cancelled()


@pytest.mark.uplink
def test_the_counters_of_a_session_follow_its_tasks(engine: Engine) -> None:
    session = open_service(double())
    concurrent.futures.wait([session.run(request(number)) for number in range(3)], TIMEOUT_S)
    seen = flamepy.get_session(session.id)
    assert (seen.pending, seen.running, seen.succeed, seen.failed) == (0, 0, 3, 0)
    assert session.id in {listed.id for listed in flamepy.list_sessions()}


@pytest.mark.uplink
def test_workers_are_listed_with_their_processes(engine: Engine) -> None:
    session = open_service(double())
    session.invoke(request(1))
    assert set(worker_pids(engine)) == {worker.pid for worker in flamepy.list_executors()}


@pytest.mark.inline
@pytest.mark.uplink
def test_objects_are_stored_changed_and_deleted(engine: Engine) -> None:
    ref = flamepy.put_object("app/shared", [1])
    ref = flamepy.patch_object(ref, 2)
    assert flamepy.get_object(ref) == [1]
    assert flamepy.get_object(ref, lambda base, patches: base + patches) == [1, 2]
    ref = flamepy.update_object(ref, "new")
    assert flamepy.get_object(ref) == "new"
    flamepy.delete_objects("app/*")
    with pytest.raises(FlameError, match="not found"):
        flamepy.get_object(ref)
