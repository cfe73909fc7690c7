# SPDX-License-Identifier: Apache-2.0
"""The process that an executor starts: serves ``flame.v1.Instance`` on a unix socket until it is told to end."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

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
    """What the executor asks for. root: where the package was unpacked."""

    def __init__(self, engine: EmbeddedEngine, cache_endpoint: str, root: str) -> None:
        self._engine = engine
        self._cache_endpoint = cache_endpoint
        self._root = root
        self._calls: Calls | None = None

    def enter(self, context: messages.SessionContext) -> messages.Result:
        cache = CacheAccess(self._cache_endpoint, f"{context.application.name}/{context.session_id}")
        # a cluster starts as many executors as are free while the first one is starting, whatever limit was asked for
        if context.common_data == ONE_PROCESS and cache.count("workers") > 1:
            return messages.Result(return_code=1, message=SECOND_WORKER)
        self._engine.applications.adopt(APPLICATION, ApplicationAttributes(), self._root)
        self._calls = Calls(self._engine, cache, APPLICATION)
        return messages.Result(return_code=0)

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


def main() -> int:
    root = os.environ["FLAME_APP_DIR"]
    address = os.environ["FLAME_INSTANCE_ENDPOINT"].removeprefix("unix://")
    is_told_to_end = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: is_told_to_end.set())
    os.chdir(root)
    engine = EmbeddedEngine(workers=1)
    try:
        server = grpc.server(ThreadPoolExecutor(_THREADS), options=_MESSAGE_BYTES)
        server.add_generic_rpc_handlers((_Service(Instance(engine, os.environ["FLAME_CACHE_ENDPOINT"], root)),))
        # under another name first: the executor connects as soon as it sees the file, and once only
        server.add_insecure_port(f"unix:{address}.new")
        server.start()
        os.rename(f"{address}.new", address)
        is_told_to_end.wait()
        server.stop(0).wait()
    finally:
        engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
