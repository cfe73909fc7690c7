# SPDX-License-Identifier: Apache-2.0
"""A task of a cluster is followed to its end also where the cluster says little of it, or nothing true."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from flamepy.core.task import Task, TaskState
from flamepy.engine.cluster.calls.packets import run_packet
from flamepy.engine.cluster.calls.watching import NotDelivered, TaskWatch
from flamepy.engine.cluster.connection import Connection
from flamepy.errors import InvalidState
from flamepy.wire import messages
from flamepy.wire.methods import FRONTEND
from tests.signs import BOUND_S

PENDING, RUNNING, SUCCEED = (getattr(messages.TaskState, name) for name in ("Pending", "Running", "Succeed"))
READY = messages.Node(status=messages.NodeStatus(state=messages.NodeState.Ready))


class Unavailable(Exception):
    """The answer is that there is none."""


class Frontend(grpc.GenericRpcHandler):
    """Answers what a test wants it to. Each state of ``states`` is told once by GetTask, the last one for ever."""

    def __init__(self, states: list[Any], **replies: Any) -> None:
        told = itertools.chain(states, itertools.repeat(states[-1]))
        self.watches = 0
        self._replies: dict[str, Callable[[Any], Any]] = {
            "GetTask": lambda _: _task(next(told)),
            "WatchTask": self._watched,
            "GetSession": lambda _: replies.get("session", _session(pending=1)),
            "ListNodes": lambda _: messages.NodeList(nodes=replies.get("nodes", [READY])),
            "ListExecutor": lambda _: messages.ExecutorList(),
        }

    def _watched(self, _: Any) -> Iterator[Any]:
        """Ends without a word."""
        self.watches += 1
        return iter(())

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        method = FRONTEND[details.method.rpartition("/")[2]]
        answer = self._replies[method.path.rpartition("/")[2]]

        def answered(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return answer(request)
            except Unavailable:
                context.abort(grpc.StatusCode.UNAVAILABLE, "as planned")

        def streamed(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            try:
                yield from answer(request)
            except Unavailable:
                context.abort(grpc.StatusCode.UNAVAILABLE, "as planned")

        is_stream = method.path.endswith(("WatchTask", "ListTask"))
        make = grpc.unary_stream_rpc_method_handler if is_stream else grpc.unary_unary_rpc_method_handler
        return make(
            streamed if is_stream else answered,
            request_deserializer=method.request.FromString,
            response_serializer=method.reply.SerializeToString,
        )


def _task(state: Any) -> messages.Task:
    return messages.Task(
        metadata=messages.Metadata(id="1"),
        spec=messages.TaskSpec(session_id="s", output=b"out"),
        status=messages.TaskStatus(state=state),
    )


def _session(*, pending: int) -> messages.Session:
    return messages.Session(
        metadata=messages.Metadata(id="s"),
        spec=messages.SessionSpec(application="a"),
        status=messages.SessionStatus(state=messages.SessionState.Open, pending=pending),
    )


@contextmanager
def connected(frontend: Frontend) -> Iterator[Connection]:
    server = grpc.server(ThreadPoolExecutor(4), handlers=[frontend])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    connection = Connection(f"http://127.0.0.1:{port}")
    try:
        yield connection
    finally:
        connection.close(BOUND_S)
        server.stop(None).wait()


async def _nothing() -> None:
    """Beside a task that runs."""


def followed(connection: Connection, clock: Callable[[], float]) -> Task:
    return connection.ask(TaskWatch(connection, "s", "1", list, clock=clock).until_ended(_nothing))


def test_a_watch_that_ends_without_a_word_is_followed_by_looks_and_another_watch() -> None:
    frontend = Frontend([PENDING, PENDING, RUNNING, SUCCEED])
    with connected(frontend) as connection:
        task = followed(connection, lambda: 1.0)
    assert (task.state, task.output) == (TaskState.SUCCEED, b"out")
    assert frontend.watches >= 3


class LostAnswers(Frontend):
    """Creates the task, and does not answer; the list of tasks cannot be had the first time."""

    def __init__(self) -> None:
        super().__init__([SUCCEED])
        self.created: list[bytes] = []
        self.lists = 0
        self._replies |= {"CreateTask": self._create, "ListTask": self._listed}

    def _create(self, request: messages.CreateTaskRequest) -> messages.Task:
        self.created.append(request.task.input)
        raise Unavailable

    def _listed(self, _: Any) -> Iterator[messages.Task]:
        self.lists += 1
        if self.lists == 1:
            raise Unavailable
        for data in self.created:
            task = _task(PENDING)
            task.spec.input = data
            yield task


def test_a_task_whose_creation_was_not_answered_is_not_created_again_before_it_is_known_that_it_is_not_there() -> None:
    frontend = LostAnswers()
    with connected(frontend) as connection:
        output = connection.ask(run_packet(connection, "s", b"packet's calls", "packet", _nothing, list))
    assert output == b"out"
    assert (len(frontend.created), frontend.lists) == (1, 2)


class SilentWatch(Frontend):
    """Its watches last, and tell nothing new."""

    def __init__(self, states: list[Any], **replies: Any) -> None:
        super().__init__(states, **replies)
        self.is_over = threading.Event()

    def _watched(self, _: Any) -> Iterator[Any]:
        yield _task(PENDING)
        self.is_over.wait(BOUND_S)


@pytest.mark.parametrize(
    ("replies", "error", "words"),
    [
        pytest.param(
            {"session": _session(pending=0)}, NotDelivered, "lost sight of its task", id="its session does not count it"
        ),
        pytest.param({"nodes": []}, InvalidState, "for 60 s now: it has no node. It has not begun", id="no node"),
    ],
)
def test_a_task_that_never_begins_ends_in_words(replies: dict[str, Any], error: type[Exception], words: str) -> None:
    clock = itertools.count(1.0, 61.0)  # a minute passes between two looks
    frontend = SilentWatch([PENDING], **replies)
    with connected(frontend) as connection:
        with pytest.raises(error, match=words):
            followed(connection, lambda: next(clock))
        frontend.is_over.set()
