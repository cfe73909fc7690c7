# SPDX-License-Identifier: Apache-2.0
"""A server in a process of its own, and a client of it in plain gRPC and Flight."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import grpc
import psutil
import pyarrow as pa
from google.protobuf.message import Message
from pyarrow import flight

from flamepy.cache.flight.connecting import connected
from flamepy.config import FlameContextTls
from flamepy.core.cache import ObjectRef
from flamepy.core.names import short_name
from flamepy.tls.credentials import read_credentials
from flamepy.wire import messages
from flamepy.wire.methods import FRONTEND
from tests.signs import BOUND_S, reached

ROOT = Path(__file__).resolve().parents[2]
END_S = 15.0  # for a server to end with all that it has started
LAUNCHER = f"""#!/bin/sh
case "$1" in
crash) echo "no such module: numpy" >&2; exit 1 ;;
silent) exec sleep 1000 ;;
esac
PYTHONPATH="{ROOT}" exec "{sys.executable}" -m tests.server.worker "$@"
"""
OPAQUE = pa.schema([("version", pa.uint64()), ("data", pa.binary())])


class RunningServer:
    """Started by ``of``; ``temporary`` is where all of its files are."""

    def __init__(self, process: subprocess.Popen[str], temporary: Path, tls: FlameContextTls | None) -> None:
        self.process = process
        self.temporary = temporary
        assert process.stdout is not None
        self.first_line = process.stdout.readline()
        told = dict(part.split("=", 1) for part in self.first_line.split())
        self.endpoint = told["FLAME_ENDPOINT"]
        self.cache_endpoint = told["FLAME_CACHE_ENDPOINT"]
        address = urlsplit(self.endpoint).netloc
        if tls is None:
            self.channel = grpc.insecure_channel(address)
        else:
            ours = read_credentials(tls)
            trust = grpc.ssl_channel_credentials(ours.authority, ours.key, ours.certificate)
            self.channel = grpc.secure_channel(address, trust)
        self.cache = connected(self.cache_endpoint, tls)

    @classmethod
    def of(cls, temporary: Path, *arguments: str, tls: FlameContextTls | None = None) -> RunningServer:
        """tls: what its client here trusts and shows."""
        temporary.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "flamepy", "serve", "--grace", "0.2", *arguments]
        environ = {**os.environ, "TMPDIR": str(temporary)}
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ, cwd=temporary)
        return cls(process, temporary, tls)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Tell it to end, and see that nothing of it is left; returns its exit code."""
        self.channel.close()
        self.cache.close()
        started = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        code = self.process.wait(END_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert reached(lambda: not any(map(_runs, started))), f"processes are left: {started}"
        assert reached(lambda: not list(self.temporary.iterdir())), f"files are left: {list(self.temporary.iterdir())}"
        return code

    # --- a client ---

    def call(self, name: str, /, **fields: Any) -> Any:
        """The answer of the Frontend. Raises grpc.RpcError."""
        method = FRONTEND[name]
        request = method.request(**fields)
        make = self.channel.unary_stream if method.is_stream else self.channel.unary_unary
        call = cast(Any, make)(
            method.path,
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=method.reply.FromString,
        )
        return call(request, timeout=BOUND_S)

    def refusal(self, name: str, /, **fields: Any) -> tuple[str, str]:
        """The code and the words of the error that a call ends with."""
        try:
            answer = self.call(name, **fields)
            if FRONTEND[name].is_stream:
                list(answer)
        except grpc.RpcError as error:
            return error.code().name, str(error.details())
        raise AssertionError(f"{name} was accepted: {answer}")

    def register(self, archive: Path, *arguments: str, **fields: Any) -> str:
        """An application of the worker made by hand."""
        name = short_name("app")
        spec: dict[str, Any] = {
            "command": "${FLAME_APP_DIR}/bin/worker",
            "arguments": list(arguments),
            "installer": "binary",
            "url": archive.as_uri(),
            **fields,
        }
        result = self.call("RegisterApplication", name=name, application=messages.ApplicationSpec(**spec))
        assert result.return_code == 0, result.message
        return name

    def session(self, application: str, **fields: Any) -> str:
        session_id = short_name("session")
        self.call("CreateSession", session_id=session_id, session={"application": application, **fields})
        return session_id

    def submit(self, session_id: str, word: str) -> str:
        task = self.call("CreateTask", task={"session_id": session_id, "input": word.encode()})
        return str(task.metadata.id)

    def watch(self, session_id: str, task_id: str) -> Iterator[messages.Task]:
        return cast(Iterator[messages.Task], self.call("WatchTask", session_id=session_id, task_id=task_id))

    def ended(self, session_id: str, task_id: str) -> messages.Task:
        """The task in the last state that the watch tells."""
        return list(self.watch(session_id, task_id))[-1]

    def run(self, session_id: str, word: str) -> messages.Task:
        return self.ended(session_id, self.submit(session_id, word))

    def wait_for_event(self, session_id: str, code: int) -> list[messages.Event]:
        """The events of a session, as soon as one has the code."""
        assert reached(lambda: code in [each.code for each in self.status(session_id).events])
        return list(self.status(session_id).events)

    def status(self, session_id: str) -> messages.SessionStatus:
        return cast(messages.SessionStatus, self.call("GetSession", session_id=session_id).status)

    # --- a client of the object cache ---

    def put(self, path: str, *rows: bytes) -> ObjectRef:
        return self.put_at(flight.FlightDescriptor.for_path(path), *rows)

    def patch(self, key: str, *rows: bytes) -> ObjectRef:
        return self.put_at(flight.FlightDescriptor.for_command(f"PATCH:{key}"), *rows)

    def put_table(self, path: str, table: pa.Table) -> ObjectRef:
        return self._written(flight.FlightDescriptor.for_path(path), table.schema, table.to_batches())

    def get(self, ticket: str) -> list[tuple[int, str, bytes]]:
        """The rows of the reply."""
        table = self.cache.do_get(flight.Ticket(ticket)).read_all()
        return [(row["version"], row["kind"], row["data"]) for row in table.to_pylist()]

    def put_at(self, descriptor: Any, *rows: bytes) -> ObjectRef:
        return self._written(descriptor, OPAQUE, [opaque_row(row) for row in rows])

    def _written(self, descriptor: Any, schema: pa.Schema, batches: list[pa.RecordBatch]) -> ObjectRef:
        writer, replies = self.cache.do_put(descriptor, schema)
        with writer:
            for batch in batches:
                writer.write_batch(batch)
            writer.done_writing()
            reply = replies.read()
        return ObjectRef.decode(reply.to_pybytes())


def _runs(process: psutil.Process) -> bool:
    """One that has ended may wait for the system to take note of it."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@dataclass(frozen=True)
class Ended:
    """What a server wrote that did not start."""

    code: int
    said: str


def refused_server(*arguments: str) -> Ended:
    command = [sys.executable, "-m", "flamepy", "serve", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND_S, check=False)
    assert not ended.stdout
    return Ended(ended.returncode, ended.stderr)


def make_archive(directory: Path) -> Path:
    """A package with the worker made by hand, which finds what it imports where the tests find it."""
    directory.mkdir()
    launcher = directory / "worker"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    archive = directory / "package.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(launcher, "bin/worker")
    return archive


def opaque_row(data: bytes) -> pa.RecordBatch:
    """Made of buffers: ``pa.array`` would load pandas."""
    version = pa.Array.from_buffers(pa.uint64(), 1, [None, pa.py_buffer(bytes(8))])
    ends = pa.py_buffer(struct.pack("=ii", 0, len(data)))
    return pa.RecordBatch.from_arrays(
        [version, pa.Array.from_buffers(pa.binary(), 1, [None, ends, pa.py_buffer(data)])], schema=OPAQUE
    )


def text(task: messages.Task) -> str:
    return task.spec.output.decode()


def message_of(task: messages.Task) -> str:
    """The text of its last event."""
    return str(task.status.events[-1].message)


def name_of(message: Message) -> str:
    return str(cast(Any, message).metadata.name)
