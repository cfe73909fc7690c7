# SPDX-License-Identifier: Apache-2.0
"""The calls of a worker's Instance service, over its unix socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from flamepy.core.application import Application
from flamepy.wire import messages
from flamepy.wire.limits import MAX_MESSAGE_BYTES, too_large
from flamepy.wire.methods import INSTANCE

_Reply = TypeVar("_Reply", bound=Message)
LOOK_S = 0.01  # how often to look for the socket of a worker that starts
_OPTIONS = [
    ("grpc.initial_reconnect_backoff_ms", 20),  # between the file and who listens on it there is an instant
    ("grpc.min_reconnect_backoff_ms", 20),
    ("grpc.max_reconnect_backoff_ms", 200),
    ("grpc.use_local_subchannel_pool", 1),  # paths come again
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", -1),  # what is too large is refused below, in the words of a cluster
    ("grpc.max_send_message_length", -1),
]


class InstanceFailed(Exception):
    """A call of a worker gave no answer that can be used. is_lost: the connection is gone, as with its process."""

    def __init__(self, words: str, *, is_lost: bool = False) -> None:
        super().__init__(words)
        self.is_lost = is_lost


class InstanceClient:
    """Talks to one worker. Its methods raise InstanceFailed."""

    def __init__(self, socket_path: str) -> None:
        self._path = socket_path
        self._channel: grpc.aio.Channel | None = None

    async def connect(self) -> None:
        """Return when the worker listens; waits for ever."""
        while not os.path.exists(self._path):  # noqa: ASYNC110 - who makes it cannot tell us
            await asyncio.sleep(LOOK_S)
        self._channel = grpc.aio.insecure_channel(f"unix:{self._path}", options=_OPTIONS)
        await self._channel.channel_ready()

    async def enter(self, session_id: str, application: Application, common_data: bytes | None) -> messages.Result:
        context = messages.SessionContext(
            session_id=session_id, application=_context_of(application), common_data=common_data
        )
        return await self._call("OnSessionEnter", context, messages.Result)

    async def invoke(self, session_id: str, task_id: str, task_input: bytes | None) -> messages.TaskResult:
        context = messages.TaskContext(task_id=task_id, session_id=session_id, input=task_input)
        return await self._call("OnTaskInvoke", context, messages.TaskResult)

    async def leave(self) -> None:
        await self._call("OnSessionLeave", messages.EmptyRequest(), messages.Result)

    async def close(self) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def _call(self, name: str, request: Message, reply: type[_Reply]) -> _Reply:
        assert self._channel is not None, "connect comes first"
        call = self._channel.unary_unary(INSTANCE[name].path, request_serializer=_written)
        try:
            data = await call(request)
        except grpc.aio.AioRpcError as error:
            is_lost = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED)
            raise InstanceFailed(error.details() or error.code().name, is_lost=is_lost) from error
        if len(data) > MAX_MESSAGE_BYTES:
            raise InstanceFailed(too_large(len(data)))
        try:
            return reply.FromString(data)
        except DecodeError as error:
            raise InstanceFailed(f"the worker's answer cannot be read: {error}") from error


def _written(message: Message) -> bytes:
    return message.SerializeToString()


def _context_of(application: Application) -> messages.ApplicationContext:
    texts: Mapping[str, str | None] = {
        name: getattr(application, name) for name in ("image", "command", "working_directory", "url", "installer")
    }
    return messages.ApplicationContext(
        name=application.name,
        shim=messages.Shim.Name(application.shim),
        **{name: text for name, text in texts.items() if text is not None},
    )
