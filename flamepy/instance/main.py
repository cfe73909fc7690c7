# SPDX-License-Identifier: Apache-2.0
"""The process that an executor starts: serves ``flame.v1.Instance`` on a unix socket until it is told to end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import grpc

from flamepy.core.application import ApplicationAttributes
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.errors import FlameError
from flamepy.instance.cache_access import CacheAccess
from flamepy.instance.calls import Calls
from flamepy.protocol.cluster.packets import ONE_PROCESS, SECOND_WORKER
from flamepy.wire import messages
from flamepy.wire.methods import INSTANCE

logger = logging.getLogger(__name__)

APPLICATION = "here"  # the name of the package's files in the engine of this process
_MESSAGE_BYTES = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_THREADS = 2  # an executor hands over one task at a time


class Instance:
    """What the executor asks for. root: where the package was unpacked. known: keeps the session for a successor."""

    def __init__(self, engine: EmbeddedEngine, cache_endpoint: str, root: str, known: BinaryIO) -> None:
        self._engine = engine
        self._cache_endpoint = cache_endpoint
        self._root = root
        self._known = known
        self._calls: Calls | None = None
        entered = known.read()
        if entered:  # by a worker that was killed
            self._begin(messages.SessionContext.FromString(entered))

    def enter(self, context: messages.SessionContext) -> messages.Result:
        # a cluster starts as many executors as are free while the first one is starting, whatever limit was asked for
        if context.common_data == ONE_PROCESS and self._cache(context).count("workers") > 1:
            return messages.Result(return_code=1, message=SECOND_WORKER)
        self._begin(context)
        self._known.write(context.SerializeToString())
        self._known.flush()
        return messages.Result(return_code=0)

    def _begin(self, context: messages.SessionContext) -> None:
        self._engine.applications.adopt(APPLICATION, ApplicationAttributes(), self._root)
        self._calls = Calls(self._engine, self._cache(context), APPLICATION)

    def _cache(self, context: messages.SessionContext) -> CacheAccess:
        return CacheAccess(self._cache_endpoint, f"{context.application.name}/{context.session_id}")

    def invoke(self, context: messages.TaskContext) -> messages.TaskResult:
        try:
            assert self._calls is not None, "an executor enters the session first"
            return messages.TaskResult(return_code=0, output=self._calls.run(context.input))
        except FlameError as error:
            return messages.TaskResult(return_code=-1, message=str(error))

    def leave(self, _: messages.EmptyRequest) -> messages.Result:
        return messages.Result(return_code=0)

    def handlers(self) -> dict[str, Callable[[Any], Any]]:
        return {"OnSessionEnter": self.enter, "OnTaskInvoke": self.invoke, "OnSessionLeave": self.leave}


class _Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no annotations
    """The methods of ``flame.v1.Instance`` by their paths."""

    def __init__(self, instance: Instance) -> None:
        self._handlers = {
            INSTANCE[name].path: grpc.unary_unary_rpc_method_handler(
                lambda request, _, answer=answer: answer(request),
                request_deserializer=INSTANCE[name].request.FromString,
                response_serializer=INSTANCE[name].reply.SerializeToString,
            )
            for name, answer in instance.handlers().items()
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        return self._handlers.get(details.method)


def serve(known: BinaryIO) -> int:
    root = os.environ["FLAME_APP_DIR"]
    address = os.environ["FLAME_INSTANCE_ENDPOINT"].removeprefix("unix://")
    is_told_to_end = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: is_told_to_end.set())
    os.chdir(root)
    engine = EmbeddedEngine(workers=1)
    try:
        server = grpc.server(ThreadPoolExecutor(_THREADS), options=_MESSAGE_BYTES)
        server.add_generic_rpc_handlers((_Service(Instance(engine, os.environ["FLAME_CACHE_ENDPOINT"], root, known)),))
        # under another name first: the executor connects as soon as it sees the file, and once only
        server.add_insecure_port(f"unix:{address}.new")
        server.start()
        os.rename(f"{address}.new", address)
        is_told_to_end.wait()
        server.stop(0).wait()
    finally:
        engine.close()
    return 0
