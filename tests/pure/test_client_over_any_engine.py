# SPDX-License-Identifier: Apache-2.0
"""The byte-level client on an engine whose tasks end when the test says so."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import dataclasses
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import cloudpickle
import numpy as np
import pytest

import flamepy
from flamepy import Runner
from flamepy.cache.blob import Blob
from flamepy.client.attributes import _VALUES, application_attributes, session_spec
from flamepy.client.connection import Connection, Session
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode
from flamepy.core.application import ApplicationAttributes, ApplicationSchema, Shim
from flamepy.core.session import SessionAttributes, SessionState
from flamepy.core.task import Task, TaskState
from flamepy.engine.api import Call, WorkerView
from flamepy.engine.completion import Completion, Outcome
from flamepy.engine.held_sessions import HeldCall
from flamepy.errors import (
    CallCancelled,
    CallTimeout,
    DependencyFailed,
    FlameErrorCode,
    InvalidArgument,
    InvalidState,
    NotFound,
    TaskFailed,
    WorkerLost,
)
from flamepy.protocol.failure import Failure
from flamepy.runner.types import RunnerContext
from flamepy.testing import HandDrivenEngine, use_engine


class HandEngine(HandDrivenEngine):
    """Tasks by their ids, and a word when there is one."""

    def __init__(self) -> None:
        super().__init__()
        self.applications.register("app", ApplicationAttributes())
        self.submitted = threading.Event()

    def submit(self, session_id: str, call: Call) -> Completion:
        try:
            return super().submit(session_id, call)
        finally:
            self.submitted.set()

    def workers(self) -> Sequence[WorkerView]:
        return [WorkerView(1, 4711, "app", None, None, "idle")]

    def held(self, task_id: str) -> HeldCall:
        (found,) = [each.calls[task_id] for each in self.sessions.records.values() if task_id in each.calls]
        return found

    def end_task(self, task_id: str, outcome: Outcome) -> None:
        self.end_with(self.held(task_id).completion, outcome)


@pytest.fixture
def hand() -> Iterator[HandEngine]:
    engine = HandEngine()
    with use_engine(engine):
        yield engine
    engine.close()


@pytest.fixture
def session(hand: HandEngine) -> Session:
    return flamepy.create_session("app", b"common")


def success(data: bytes | None) -> Outcome:
    return Outcome(TaskState.SUCCEED, value=None if data is None else Blob.of(Payload(data)))


def failure(type_name: str = "ValueError", message: str = "no") -> Outcome:
    account = Failure(type_name, message, (), "Traceback ...")
    return Outcome(TaskState.FAILED, failure=Blob.of(encode(account)))


def test_a_session_is_made_and_found_again(hand: HandEngine) -> None:
    made = flamepy.create_session("app", b"common", min_instances=1, max_instances=2)
    assert made.id.startswith("app-")
    assert (made.application, made.state, made.pending) == ("app", SessionState.OPEN, 0)
    assert made.common_data() == b"common"
    spec = hand.sessions.record(made.id).spec
    assert (spec.min_instances, spec.max_instances) == (1, 2)
    assert flamepy.get_session(made.id).id == made.id
    assert flamepy.open_session(made.id).common_data() == b"common"
    assert [one.id for one in flamepy.list_sessions()] == [made.id]
    assert "OPEN" in repr(made)


def test_a_session_can_be_given_its_name(hand: HandEngine) -> None:
    assert flamepy.create_session("app", session_id="mine").id == "mine"
    assert flamepy.open_session("other", SessionAttributes("app", common_data=b"x")).common_data() == b"x"
    with pytest.raises(NotFound, match="not found"):
        flamepy.open_session("nowhere")


def test_common_data_has_to_be_bytes(hand: HandEngine) -> None:
    with pytest.raises(InvalidArgument, match="common_data must be bytes in core API, not str: pickle it") as caught:
        flamepy.create_session("app", common_data="text")  # type: ignore[arg-type]
    assert caught.value.code is FlameErrorCode.INVALID_ARGUMENT


def test_a_closed_session_says_so(hand: HandEngine, session: Session) -> None:
    session.close()
    assert session.state is SessionState.CLOSED
    assert flamepy.close_session(session.id).state is SessionState.CLOSED


def test_bytes_go_in_and_bytes_come_out(hand: HandEngine, session: Session) -> None:
    future = session.run(b"in")
    call = hand.held("1").call
    assert (call.request.data, call.input, call.name) == (b"in", b"in", "app")
    assert not future.done()
    hand.end_task("1", success(b"out"))
    assert future.done()
    assert future.result(0) == b"out"
    assert future.exception() is None


def test_a_service_may_return_nothing(hand: HandEngine, session: Session) -> None:
    future = session.run(None)
    hand.end_task("1", success(None))
    assert future.result() is None


def test_a_task_takes_bytes_only(session: Session) -> None:
    with pytest.raises(InvalidArgument, match="input must be bytes, not str"):
        session.run("text")  # type: ignore[arg-type]


def test_an_output_with_buffers_becomes_one_pickle(hand: HandEngine, session: Session) -> None:
    value = np.arange(300_000)
    encoded = encode(value)
    assert encoded.buffers
    future = session.run(b"")
    hand.end_task("1", Outcome(TaskState.SUCCEED, value=Blob.of(encoded)))
    output = future.result()
    assert output is not None
    assert np.array_equal(cloudpickle.loads(output), value)


def test_a_failed_task_raises_its_message(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    hand.end_task("1", failure())
    with pytest.raises(TaskFailed, match="app raised ValueError: no") as caught:
        future.result()
    assert caught.value.flame_traceback == "Traceback ..."
    error = future.exception()
    assert isinstance(error, TaskFailed)
    assert error is not caught.value


def test_the_errors_of_the_engine_are_raised_as_they_are(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    hand.end_task("1", Outcome(TaskState.FAILED, error=WorkerLost("app", 4711, -9)))
    with pytest.raises(WorkerLost, match="worker 4711 ended"):
        future.result()


def test_a_task_that_never_ran_names_the_one_before_it(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    hand.end_task("1", Outcome(TaskState.FAILED, failed_dependency=failure("KeyError", "'k'")))
    with pytest.raises(DependencyFailed, match="did not run") as caught:
        future.result()
    assert isinstance(caught.value.__cause__, TaskFailed)


def test_waiting_for_a_task_is_bounded(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    with pytest.raises(CallTimeout, match=r"task 1 of session app-.* is not done after 0 s"):
        future.result(0)
    with pytest.raises(TimeoutError):
        future.exception(timeout=0)


def test_a_task_can_be_cancelled_once(session: Session) -> None:
    future = session.run(b"")
    assert not future.cancelled()
    assert future.cancel()
    assert future.cancelled()
    assert not future.cancel()
    with pytest.raises(CallCancelled, match="app was cancelled before it had an output") as caught:
        future.result()
    assert isinstance(caught.value, concurrent.futures.CancelledError)


def test_running_follows_the_task(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    assert not future.running()
    hand.held("1").completion.enter(TaskState.RUNNING)
    assert future.running()
    hand.end_task("1", success(b""))
    assert not future.running()


def test_callbacks_may_wait_for_other_tasks(hand: HandEngine, session: Session) -> None:
    first, second = session.run(b"1"), session.run(b"2")
    seen: concurrent.futures.Future[Any] = concurrent.futures.Future()
    first.add_done_callback(lambda _: seen.set_result(second.result(30)))
    hand.end_task("1", success(b"one"))  # would hang here if the callback ran in this thread
    hand.end_task("2", success(b"two"))
    assert seen.result(30) == b"two"


def test_a_callback_on_a_finished_task_runs_at_once(hand: HandEngine, session: Session) -> None:
    future = session.run(b"")
    hand.end_task("1", success(b"out"))
    seen: list[bytes | None] = []
    future.add_done_callback(lambda done: seen.append(done.result()))
    assert seen == [b"out"]


def test_the_standard_library_takes_the_futures(hand: HandEngine, session: Session) -> None:
    futures = [session.run(b""), session.run(b"")]
    hand.end_task("2", success(b"b"))
    done, waiting = concurrent.futures.wait(futures, timeout=30, return_when=concurrent.futures.FIRST_COMPLETED)
    assert (done, waiting) == ({futures[1]}, {futures[0]})

    async def together() -> list[bytes | None]:
        wrapped = [asyncio.wrap_future(future) for future in futures]
        hand.end_task("1", success(b"a"))
        return await asyncio.wait_for(asyncio.gather(*wrapped), 30)

    assert asyncio.run(together()) == [b"a", b"b"]


def test_a_created_task_can_be_watched_to_its_end(hand: HandEngine, session: Session) -> None:
    task = session.create_task(b"in")
    assert hand.sessions.record(session.id).pinned == {"1"}
    assert (task.id, task.state, task.input) == ("1", TaskState.PENDING, b"in")
    watcher = session.watch_task(task.id, timeout=30)
    assert next(watcher).state is TaskState.PENDING
    hand.end_task("1", success(b"out"))
    assert [change.state for change in watcher] == [TaskState.SUCCEED]
    assert next(watcher, None) is None
    assert session.get_task(task.id).state is TaskState.SUCCEED
    assert [change.state for change in session.watch_task(task.id)] == [TaskState.SUCCEED]
    assert [listed.id for listed in session.list_tasks()] == ["1"]


def test_watching_gives_up_in_time(session: Session) -> None:
    watcher = session.watch_task(session.create_task(b"").id, timeout=0.05)
    with pytest.raises(CallTimeout, match=r"did not end within 0\.05 s"):
        list(watcher)


def test_watching_an_unknown_task_raises_what_the_engine_raises(hand: HandEngine, session: Session) -> None:
    def broken(session_id: str, task_id: str) -> Iterator[Task]:
        raise NotFound(f"task {task_id!r} not found")
        yield

    hand.watch = broken  # type: ignore[method-assign]
    for timeout in (None, 30):
        with pytest.raises(NotFound, match="task '9' not found"):
            next(session.watch_task("9", timeout))


class Log:
    def __init__(self) -> None:
        self.heard: list[object] = []

    def on_update(self, task: Task) -> None:
        self.heard.append(task.state)

    def on_error(self, error: flamepy.FlameError) -> None:
        self.heard.append(type(error))


@pytest.mark.parametrize(
    ("outcome", "last", "expected"),
    [
        pytest.param(success(b"out"), [TaskState.SUCCEED], contextlib.nullcontext(), id="success"),
        pytest.param(failure(), [TaskState.FAILED, TaskFailed], pytest.raises(TaskFailed), id="failure"),
    ],
)
def test_an_informer_hears_every_state(
    hand: HandEngine, session: Session, outcome: Outcome, last: list[object], expected: Any
) -> None:
    log = Log()

    def end() -> None:
        hand.submitted.wait(30)
        hand.end_task("1", outcome)

    ender = threading.Thread(target=end)
    ender.start()
    with expected:
        assert session.invoke(b"in", log) == b"out"
    ender.join()
    assert log.heard[-len(last) :] == last


@pytest.mark.parametrize(
    ("attributes", "example"),
    [
        ({"environments": "A=1"}, "environments={'NAME': 'value'}"),
        ({"environments": {"A": 1}}, "environments={'NAME': 'value'}"),
        ({"arguments": "-m module"}, "arguments=['-m', 'module']"),
        ({"labels": ["a", 1]}, "labels=['gpu', 'nightly']"),
        ({"max_instances": "3"}, "max_instances=4"),
        ({"max_instances": -1}, "max_instances=4"),
        ({"delay_release": True}, "delay_release=60"),
        ({"command": ["python"]}, "command='python'"),
        (ApplicationAttributes(url=7), "url='file:///opt/flame/packages/app.tar'"),  # type: ignore[arg-type]
    ],
)
def test_an_attribute_of_another_kind_is_refused_with_an_example(
    hand: HandEngine, attributes: Any, example: str
) -> None:
    with pytest.raises(InvalidArgument) as caught:
        flamepy.register_application("wrong", attributes)
    assert str(caught.value).endswith(f": write it like {example}.")
    assert flamepy.get_application("wrong") is None


def test_every_attribute_has_a_kind() -> None:
    assert list(_VALUES) == [each.name for each in dataclasses.fields(ApplicationAttributes)]


def test_applications_are_registered_from_a_record_or_a_mapping(hand: HandEngine) -> None:
    flamepy.register_application("one", ApplicationAttributes(description="true"))
    flamepy.register_application("two", {"description": "true", "schema": {"input": "{}", "output": " "}})
    assert [application.name for application in flamepy.list_applications()] == ["flmrun", "app", "one", "two"]
    two = flamepy.get_application("two")
    assert two is not None
    assert two.schema == ApplicationSchema(input="{}")
    flamepy.unregister_application("two")
    assert flamepy.get_application("two") is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"comand": "x"}, "'comand' is not an application attribute. Did you mean 'command'?"),
        ({"zzz": "x"}, "'zzz' is not an application attribute. Use one of shim, image"),
        ({"schema": {"inputs": "{}"}}, "'inputs' is not a schema field. Did you mean 'input'?"),
        ({"schema": "{}"}, "schema must be an ApplicationSchema or a dict, not str"),
        ({"shim": "vm"}, r"'vm' is not a shim: use Shim\.HOST"),
        ({"shim": 7}, "7 is not a shim"),
        ("command", "must be ApplicationAttributes or a dict, not str"),
    ],
)
def test_wrong_attributes_are_explained(given: Any, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        application_attributes(given)


def test_a_shim_may_be_a_word_or_a_number() -> None:
    assert application_attributes({"shim": "wasm"}).shim is Shim.WASM
    assert application_attributes({"shim": 0}).shim is Shim.HOST


def test_blank_schemas_count_as_absent() -> None:
    blank = ApplicationAttributes(schema=ApplicationSchema(input="", output=" "))
    assert application_attributes(blank).schema is None


class Counter:
    def __init__(self) -> None:
        self.count = 0


@pytest.mark.parametrize(
    ("common_data", "is_stateful"),
    [
        pytest.param(None, False, id="nothing"),
        pytest.param(b"RunnerContext", False, id="bytes that only look like it"),
        pytest.param(cloudpickle.dumps(RunnerContext(len)), False, id="a function"),
        pytest.param(cloudpickle.dumps(RunnerContext(Counter())), True, id="an object"),
    ],
)
def test_the_engine_is_told_whether_a_service_has_state(common_data: bytes | None, is_stateful: bool) -> None:
    assert session_spec(SessionAttributes("flmrun", common_data=common_data)).is_stateful is is_stateful


def test_objects_go_to_the_cache_of_the_current_engine(hand: HandEngine) -> None:
    ref = flamepy.put_object("app/session", {"a": 1})
    assert ref.endpoint == hand.objects.endpoint
    assert flamepy.get_object(ref) == {"a": 1}
    ref = flamepy.patch_object(flamepy.update_object(ref, [1]), 2)
    assert ref.version == 3
    assert flamepy.get_object(ref, lambda base, patches: [*base, *patches]) == [1, 2]
    flamepy.delete_objects("app/session")
    with pytest.raises(NotFound):
        flamepy.get_object(ref)


def test_the_workers_are_listed(hand: HandEngine) -> None:
    assert [worker.pid for worker in flamepy.list_executors()] == [4711]


def test_a_closed_connection_says_how_to_get_another(hand: HandEngine) -> None:
    with flamepy.connect() as connection:
        session = connection.create_session(SessionAttributes("app"))
    connection.close()
    assert isinstance(connection, Connection)
    with pytest.raises(InvalidState, match=r"this connection is closed: make another one with flamepy\.connect"):
        connection.list_sessions()
    assert session.run(b"").done() is False


def test_an_address_needs_a_cluster(hand: HandEngine) -> None:
    with pytest.raises(InvalidArgument, match=r"cannot use the cluster at http://h:1.*this release"):
        flamepy.connect("http://h:1")


class _EndsMeanwhile(HandDrivenEngine):
    """It ends while its calls are looked for."""

    def task(self, session_id: str, task_id: str) -> Completion:
        self.close()
        raise InvalidState("flamepy was shut down, and all Runners and services with it.")


def test_a_runner_that_closes_behind_an_engine_that_ends_is_closed(project: None, nothing_is_left: None) -> None:
    with _EndsMeanwhile() as engine:
        runner = Runner("behind")
        future = runner.service(len)("four")
        runner.close(wait=False)
        assert future.wait(20)
        assert future.cancelled()
        for thread in threading.enumerate():
            if thread.name == "flame-close":
                thread.join(20)  # what it raises fails this test
    assert not engine.is_alive
