# SPDX-License-Identifier: Apache-2.0
"""A worker made by hand, for the server to start: it does what a task says, in one word and what follows on it."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from flamepy.wire import messages
from flamepy.wire.methods import INSTANCE


class Worker:
    """``ended`` is set when the server has said good-bye. Where ``log`` is given, each call leaves a line in it."""

    def __init__(self, log: str | None) -> None:
        self._log = log
        self._session = ""
        self._common = b""

    def enter(self, context: messages.SessionContext) -> messages.Result:
        self._session, self._common = context.session_id, context.common_data
        self._note("enter")
        if context.common_data == b"refuse":
            return messages.Result(return_code=-1, message="this session is not to my liking")
        return messages.Result()

    def invoke(self, context: messages.TaskContext) -> messages.TaskResult:
        self._note(f"task {context.task_id}")
        word, _, rest = context.input.decode().partition(" ")
        output = None
        if word == "fail":
            return messages.TaskResult(return_code=-1, message=rest)
        if word == "die":
            print("about to die", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if word == "until":  # a file is there
            while not Path(rest).exists():
                time.sleep(0.005)
        if word == "bytes":
            output = bytes(int(rest))
        if word == "where":
            output = json.dumps({"cwd": str(Path.cwd()), "pid": os.getpid(), "argv": sys.argv, **os.environ}).encode()
        if word == "echo":
            output = context.input + b" " + self._common
        return messages.TaskResult(output=output)

    def leave(self, _request: messages.EmptyRequest) -> messages.Result:
        self._note("leave")
        return messages.Result()

    def _note(self, what: str) -> None:
        if self._log:
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(f"{self._session} {os.getpid()} {what}\n")


def main() -> None:
    worker = Worker(os.environ.get("WORKER_LOG"))
    handlers = {}
    answers: dict[str, Callable[[Any], Any]] = {
        "OnSessionEnter": worker.enter,
        "OnTaskInvoke": worker.invoke,
        "OnSessionLeave": worker.leave,
    }
    for name, answer in answers.items():
        method = INSTANCE[name]
        handlers[name] = grpc.unary_unary_rpc_method_handler(
            lambda request, _context, answer=answer: answer(request),
            request_deserializer=method.request.FromString,
            response_serializer=method.reply.SerializeToString,
        )
    server = grpc.server(ThreadPoolExecutor(2), options=[("grpc.max_send_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("flame.v1.Instance", handlers),))
    server.add_insecure_port(f"unix:{os.environ['FLAME_INSTANCE_ENDPOINT']}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
