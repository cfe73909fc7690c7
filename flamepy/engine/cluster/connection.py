# SPDX-License-Identifier: Apache-2.0
"""The connection to a cluster: one channel of gRPC, and the event loop that serves it in a thread of its own."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar
from urllib.parse import urlsplit

import grpc
from google.protobuf.message import Message
from grpc import aio

from flamepy.clock import monotonic_s
from flamepy.config import FlameContextTls
from flamepy.core.addresses import in_url
from flamepy.engine.completion import INTERRUPT_CHECK_S
from flamepy.errors import (
    AlreadyExists,
    ConnectionLost,
    FlameError,
    FlameErrorCode,
    InvalidArgument,
    InvalidConfig,
    InvalidState,
    NotFound,
    TlsFailed,
)
from flamepy.tls.credentials import TlsCredentials, read_credentials
from flamepy.tls.diagnosis import why_refused
from flamepy.wire.methods import FRONTEND

logger = logging.getLogger(__name__)

DEADLINE_S = 10.0  # of one request; none of them waits for work
PATIENCE_S = 30.0  # how long a lost connection is tried again before what needs it ends
_BACK_OFF_S = (0.1, 0.2, 0.5, 1.0, 2.0)
_KEEP_ALIVE_MS = 20_000  # a stream that says nothing for long is one whose other end may be gone
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.keepalive_time_ms", _KEEP_ALIVE_MS),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.use_local_subchannel_pool", 1),  # else a new channel waits with those that have just been refused
    ("grpc.min_reconnect_backoff_ms", 5_000),  # how long an attempt to connect may take, far away and with TLS
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
]
_PORT = 8080
_CAUSES = {  # what gRPC says -> in words
    "lookup error": "there is no host of that name",
    "Failed parsing HTTP/2": "another program listens there, no cluster",
    "before receiving SETTINGS": "another program listens there, no cluster",
}
_KINDS = {
    grpc.StatusCode.NOT_FOUND: NotFound,
    grpc.StatusCode.ALREADY_EXISTS: AlreadyExists,
    grpc.StatusCode.INVALID_ARGUMENT: InvalidArgument,
    grpc.StatusCode.FAILED_PRECONDITION: InvalidState,
}
_Answer = TypeVar("_Answer")


class Connection:
    """``post`` and ``ask`` are for any thread; coroutines run in the thread of the event loop, which writes all state.

    endpoint: such as ``http://host:8080``. tls: whom to trust and what to show, for ``https``. Raises InvalidConfig.
    """

    def __init__(self, endpoint: str, *, tls: FlameContextTls | None = None) -> None:
        self.endpoint = endpoint
        self._target, is_secure = target_of(endpoint)
        self._tls = tls
        self._credentials = read_credentials(tls) if is_secure else None
        self._inbox: deque[Callable[[], object]] = deque()
        self._is_woken = False
        self._has_ended = False
        self.lost_since_s: float | None = None  # by the monotonic clock; None = the cluster answers
        self._loop = asyncio.new_event_loop()
        self._tasks: set[asyncio.Task[Any]] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="flame-cluster", daemon=True)
        self._thread.start()
        started.wait()

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._open())
        started.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._shut())
        self._loop.close()

    async def _open(self) -> None:
        self._channel = self._new_channel()

    def _new_channel(self) -> aio.Channel:
        if self._credentials is None:
            return aio.insecure_channel(self._target, options=_OPTIONS)
        name = self._tls.server_name if self._tls is not None else None
        options = [*_OPTIONS, ("grpc.ssl_target_name_override", name)] if name else _OPTIONS
        return aio.secure_channel(self._target, _channel_credentials(self._credentials), options=options)

    async def _show_renewed(self) -> None:
        """Go on with a new channel where certificates were renewed: one keeps those that it was made with."""
        if self._credentials is None:
            return
        try:
            found = await asyncio.to_thread(read_credentials, self._tls)
        except InvalidConfig:  # one of two files is written already, or none is there any more: what we have may do
            return
        if found != self._credentials:
            self._credentials, replaced = found, self._channel
            self._channel = self._new_channel()
            self.start(replaced.close(DEADLINE_S))  # by then what was asked on it has an answer, or none

    async def _shut(self) -> None:
        for each in list(self._tasks):
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._channel.close(None)

    # --- from any thread

    def post(self, command: Callable[[], object]) -> None:
        """Have the event loop run ``command``; after those that were posted before."""
        self._inbox.append(command)
        if not self._is_woken:
            self._is_woken = True
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._read_inbox)

    def _read_inbox(self) -> None:
        self._is_woken = False
        while self._inbox:
            command = self._inbox.popleft()
            try:
                command()
            except Exception:
                logger.exception("command failed command=%r", command)

    def ask(self, coroutine: Coroutine[Any, Any, _Answer]) -> _Answer:
        """What ``coroutine`` gives, run by the event loop. The wait can be interrupted. Raises what it raises."""
        if self._has_ended:
            coroutine.close()
            raise InvalidState("flamepy was shut down, and all Runners and services with it: create the Runner again.")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        while True:
            try:
                return future.result(INTERRUPT_CHECK_S)
            except concurrent.futures.TimeoutError:
                if future.done():
                    raise
            except BaseException:
                future.cancel()
                raise

    def close(self, timeout_s: float) -> None:
        """End the thread. Idempotent."""
        if self._has_ended:
            return
        self._has_ended = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_s)

    # --- in the event loop

    def is_lost_for(self, seconds: float) -> bool:
        """Has the cluster not answered for so long?"""
        return self.lost_since_s is not None and monotonic_s() - self.lost_since_s >= seconds

    def start(self, coroutine: Coroutine[Any, Any, object]) -> None:
        """Run ``coroutine`` beside the others."""
        task = self._loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def call(
        self, name: str, request: Message, *, is_repeatable: bool = True, patience_s: float = PATIENCE_S
    ) -> Any:
        """One request. It is made again while the cluster does not answer, where doing it twice does no harm.

        Raises FlameError: the cluster's own words, or ConnectionLost.
        """
        method = FRONTEND[name]
        attempt = 0
        while True:
            began_s = monotonic_s()
            call = self._channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.reply.FromString,
            )
            try:
                reply = await call(request, timeout=DEADLINE_S)
            except aio.AioRpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    self.lost_since_s = None
                    raise self.error_of(error, name) from error
                if self.lost_since_s is None:
                    self.lost_since_s = began_s
                # what is asked of a cluster that has been away for long has no patience of its own
                if not is_repeatable or self.is_lost_for(patience_s):
                    raise await self._lost(error) from error
                await self._show_renewed()
                await asyncio.sleep(back_off_s(attempt))
                attempt += 1
            else:
                self.lost_since_s = None
                return reply

    async def _lost(self, error: aio.AioRpcError) -> ConnectionLost:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            refusal = await asyncio.to_thread(why_refused, self.endpoint, self._tls, default_port=_PORT)
            if refusal is not None:
                return TlsFailed(self.endpoint, refusal)
        return ConnectionLost(self.endpoint, reason_of(error))

    async def stream(self, name: str, request: Message) -> AsyncIterator[Any]:
        """What the cluster sends, as it comes. Raises FlameError; ConnectionLost at once."""
        method, channel = FRONTEND[name], self._channel
        call = channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.reply.FromString,
        )(request)
        try:
            async for each in call:
                yield each
        except aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                raise ConnectionLost(self.endpoint, reason_of(error)) from error
            raise self.error_of(error, name) from error
        except asyncio.CancelledError:
            if channel is self._channel or self._has_ended:
                raise
            raise ConnectionLost(self.endpoint, "its certificates were renewed") from None
        finally:
            call.cancel()

    def error_of(self, error: aio.AioRpcError, name: str) -> FlameError:
        """The cluster's answer as an error of ours."""
        text = error.details() or error.code().name
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            text = f"what answers at {self.endpoint} has no {name}: it is not the address of a Flame 0.6 cluster."
            return FlameError(FlameErrorCode.INTERNAL, text)
        kind = _KINDS.get(error.code())
        if kind is None:
            return FlameError(FlameErrorCode.INTERNAL, f"the cluster at {self.endpoint} refuses {name}: {text}")
        return kind(text)


def target_of(endpoint: str) -> tuple[str, bool]:
    """``host:port``, and whether the connection is encrypted. Raises InvalidArgument."""
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidArgument(f"{endpoint!r} is no address of a cluster: write it as http://host:8080.")
    return f"{in_url(parts.hostname)}:{parts.port or _PORT}", parts.scheme == "https"


def _channel_credentials(ours: TlsCredentials) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(ours.authority, ours.key, ours.certificate)


def back_off_s(attempt: int) -> float:
    return _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]


def reason_of(error: aio.AioRpcError) -> str:
    """In few words: gRPC puts the last of several reasons behind the names of its own layers."""
    text = str(error.details() or error.code().name).partition("\n")[0]
    if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return "no answer in time"
    for sign, cause in _CAUSES.items():
        if sign in text:
            return cause
    for layer in ("last error: UNKNOWN: ", "Failed to connect to remote host: "):
        text = text.rpartition(layer)[2]
    return text.rstrip(". ")
