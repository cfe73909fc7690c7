# SPDX-License-Identifier: Apache-2.0
"""The Frontend: what clients ask over gRPC, and what they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from flamepy.core.application import Shim
from flamepy.core.task import Task
from flamepy.errors import FlameError, FlameErrorCode, NotFound
from flamepy.server.application_table import ApplicationTable, attributes_from
from flamepy.server.executors.executor import Executor
from flamepy.server.executors.executor_pool import ExecutorPool
from flamepy.server.session_table import SessionRecord, SessionTable
from flamepy.server.task_watchers import TaskWatchers
from flamepy.wire import applications, messages, sessions, tasks
from flamepy.wire.limits import MAX_MESSAGE_BYTES, too_large
from flamepy.wire.methods import FRONTEND, Method

_STATUS = {
    FlameErrorCode.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    FlameErrorCode.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    FlameErrorCode.INVALID_ARGUMENT: grpc.StatusCode.INVALID_ARGUMENT,
    FlameErrorCode.INVALID_CONFIG: grpc.StatusCode.INVALID_ARGUMENT,
    FlameErrorCode.INVALID_STATE: grpc.StatusCode.INVALID_ARGUMENT,
    FlameErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
}
_REFUSED = -1  # the return code of what is answered although it was not done


class ServerEnding(FlameError):
    """The server takes nothing new any more."""

    def __init__(self) -> None:
        super().__init__(FlameErrorCode.INTERNAL, "the server is ending: start it again, and open a new session.")
        self.args = ()


class Frontend:
    """One method for each call. Used by the event loop's thread only. node: this machine, as clients are told."""

    def __init__(
        self,
        applications: ApplicationTable,
        sessions: SessionTable,
        watchers: TaskWatchers,
        pool: ExecutorPool,
        node: messages.Node,
    ) -> None:
        self._applications = applications
        self._sessions = sessions
        self._watchers = watchers
        self._pool = pool
        self._node = node
        self._is_ending = False
        self._forgetting: set[asyncio.Task[None]] = set()

    def end(self) -> None:
        """Take no new session and no new task."""
        self._is_ending = True

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server is to be given."""
        answers: dict[str, Callable[[Any], Message]] = {
            "RegisterApplication": self.register_application,
            "UnregisterApplication": self.unregister_application,
            "UpdateApplication": self.update_application,
            "GetApplication": self.get_application,
            "ListApplication": self.list_applications,
            "ListExecutor": self.list_executors,
            "ListNodes": self.list_nodes,
            "GetNode": self.get_node,
            "CreateSession": self.create_session,
            "DeleteSession": self.delete_session,
            "OpenSession": self.open_session,
            "CloseSession": self.close_session,
            "GetSession": self.get_session,
            "ListSession": self.list_sessions,
            "CreateTask": self.create_task,
            "GetTask": self.get_task,
        }
        streams: dict[str, Callable[[Any], AsyncIterator[Message]]] = {
            "WatchTask": self.watch_task,
            "ListTask": self.list_tasks,
        }
        handlers = {name: _unary(FRONTEND[name], answer) for name, answer in answers.items()}
        handlers.update((name, _stream(FRONTEND[name], answer)) for name, answer in streams.items())
        return grpc.method_handlers_generic_handler("flame.v1.Frontend", handlers)

    # --- applications ---

    def register_application(self, request: messages.RegisterApplicationRequest) -> messages.Result:
        attributes = attributes_from(request)
        return _result_of(lambda: self._applications.register(request.name, attributes))

    def update_application(self, request: messages.UpdateApplicationRequest) -> messages.Result:
        attributes = attributes_from(request)
        return _result_of(lambda: self._applications.update(request.name, attributes))

    def unregister_application(self, request: messages.UnregisterApplicationRequest) -> messages.Result:
        def unregister() -> None:
            gone = self._applications.unregister(request.name)
            self._sessions.remove_of(request.name)
            self._pool.turn()
            forgetting = asyncio.ensure_future(self._pool.forget(gone))
            self._forgetting.add(forgetting)
            forgetting.add_done_callback(self._forgetting.discard)

        return _result_of(unregister)

    def get_application(self, request: messages.GetApplicationRequest) -> messages.Application:
        return applications.message_of(self._applications.get(request.name).application)

    def list_applications(self, _request: messages.ListApplicationRequest) -> messages.ApplicationList:
        return messages.ApplicationList(applications=map(applications.message_of, self._applications.all()))

    # --- the machine ---

    def list_executors(self, _request: messages.ListExecutorRequest) -> messages.ExecutorList:
        node = self._node.metadata.name
        return messages.ExecutorList(executors=[_executor_message(each, node) for each in self._pool.all()])

    def list_nodes(self, _request: messages.ListNodesRequest) -> messages.NodeList:
        return messages.NodeList(nodes=[self._node])

    def get_node(self, request: messages.GetNodeRequest) -> messages.GetNodeResponse:
        if request.name != self._node.metadata.name:
            raise NotFound(f"node <{request.name}> not found: there is {self._node.metadata.name}.")
        return messages.GetNodeResponse(node=self._node)

    # --- sessions ---

    def create_session(self, request: messages.CreateSessionRequest) -> messages.Session:
        self._check_goes_on()
        spec = request.session if request.HasField("session") else None
        return self._begun(self._sessions.create(request.session_id, spec))

    def open_session(self, request: messages.OpenSessionRequest) -> messages.Session:
        self._check_goes_on()
        spec = request.session if request.HasField("session") else None
        return self._begun(self._sessions.open(request.session_id, spec))

    def close_session(self, request: messages.CloseSessionRequest) -> messages.Session:
        record = self._sessions.close(request.session_id)
        self._pool.turn()
        return _session_message(record)

    def delete_session(self, request: messages.DeleteSessionRequest) -> messages.Session:
        return _session_message(self._sessions.delete(request.session_id))

    def get_session(self, request: messages.GetSessionRequest) -> messages.Session:
        return _session_message(self._sessions.get(request.session_id), with_events=True)

    def list_sessions(self, _request: messages.ListSessionRequest) -> messages.SessionList:
        return messages.SessionList(
            sessions=[_session_message(each, with_events=True) for each in self._sessions.all()]
        )

    # --- tasks ---

    def create_task(self, request: messages.CreateTaskRequest) -> messages.Task:
        self._check_goes_on()
        task = self._sessions.create_task(request.task if request.HasField("task") else None)
        created = tasks.message_of(task)
        self._pool.turn()
        return created

    def get_task(self, request: messages.GetTaskRequest) -> messages.Task:
        return tasks.message_of(self._sessions.task(request.session_id, request.task_id))

    async def list_tasks(self, request: messages.ListTaskRequest) -> AsyncIterator[messages.Task]:
        for task in self._sessions.tasks(request.session_id):
            yield tasks.message_of(task)

    async def watch_task(self, request: messages.WatchTaskRequest) -> AsyncIterator[messages.Task]:
        """Each state that follows on the present one, up to the last; where that is reached, it alone."""
        task = self._sessions.task(request.session_id, request.task_id)
        while not task.state.is_terminal():
            seen = task
            task = await self._next_state(seen)
            yield tasks.message_of(task)
            if task.state.is_terminal():
                return
        yield tasks.message_of(task)

    async def _next_state(self, seen: Task) -> Task:
        """Raises FlameError. A state that came while the last one was sent counts."""
        now = self._sessions.task(seen.session_id, seen.id)
        return now if now.state is not seen.state else await self._watchers.change_of(seen)

    # --- parts ---

    def _begun(self, record: SessionRecord) -> messages.Session:
        begun = _session_message(record)
        self._pool.turn()
        return begun

    def _check_goes_on(self) -> None:
        if self._is_ending:
            raise ServerEnding


def _session_message(record: SessionRecord, *, with_events: bool = False) -> messages.Session:
    return sessions.message_of(record.view(with_events=with_events), record.spec)


def _executor_message(executor: Executor, node: str) -> messages.Executor:
    return messages.Executor(
        metadata=messages.Metadata(id=executor.id, name=executor.id),
        spec=messages.ExecutorSpec(node=node, resreq=executor.session.spec.resreq, shim=messages.Shim.Name(Shim.HOST)),
        status=messages.ExecutorStatus(state=executor.state, session_id=executor.session.id),
    )


def _result_of(action: Callable[[], object]) -> messages.Result:
    """What fails here is an answer, and not an error of the call: so a cluster has it."""
    try:
        action()
    except FlameError as error:
        return messages.Result(return_code=_REFUSED, message=str(error))
    return messages.Result()


def _unary(method: Method, answer: Callable[[Any], Message]) -> grpc.RpcMethodHandler:
    async def handle(data: bytes, context: grpc.aio.ServicerContext) -> bytes:
        request = await _read(method, data, context)
        try:
            return answer(request).SerializeToString()
        except FlameError as error:
            await _abort(error, context)
            raise AssertionError("abort raises") from error

    return grpc.unary_unary_rpc_method_handler(handle)


def _stream(method: Method, answer: Callable[[Any], AsyncIterator[Message]]) -> grpc.RpcMethodHandler:
    async def handle(data: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
        request = await _read(method, data, context)
        try:
            async for message in answer(request):
                yield message.SerializeToString()
        except FlameError as error:
            await _abort(error, context)

    return grpc.unary_stream_rpc_method_handler(handle)


async def _read(method: Method, data: bytes, context: grpc.aio.ServicerContext) -> Message:
    if len(data) > MAX_MESSAGE_BYTES:
        await context.abort(grpc.StatusCode.OUT_OF_RANGE, too_large(len(data)))
    try:
        return method.request.FromString(data)
    except DecodeError as error:
        await context.abort(grpc.StatusCode.INTERNAL, f"failed to decode Protobuf message: {error}")
        raise AssertionError("abort raises") from error


async def _abort(error: FlameError, context: grpc.aio.ServicerContext) -> None:
    code = grpc.StatusCode.UNAVAILABLE if isinstance(error, ServerEnding) else _STATUS[error.code]
    await context.abort(code, str(error))
