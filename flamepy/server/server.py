# SPDX-License-Identifier: Apache-2.0
"""The parts of the server, put together, and taken apart again so that nothing is left."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
import socket
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pyarrow as pa

from flamepy.config import tls_of_environment
from flamepy.core.addresses import in_url
from flamepy.core.descriptors import raise_descriptor_limit
from flamepy.protocol.scratch import left_behind, new_scratch
from flamepy.server.application_table import ApplicationTable
from flamepy.server.certificates import ServerCertificates, read_certificates
from flamepy.server.daemon_threads import in_daemon_thread
from flamepy.server.executors.executor import Workshop
from flamepy.server.executors.executor_pool import ExecutorPool
from flamepy.server.executors.guard import Guard
from flamepy.server.executors.package_installer import PackageInstaller, file_content
from flamepy.server.frontend import Frontend, ServerEnding
from flamepy.server.objects.download import download_object
from flamepy.server.objects.flight_server import ObjectFlightServer
from flamepy.server.objects.object_table import ObjectTable
from flamepy.server.objects.payload_memory import PayloadMemory
from flamepy.server.ports import cannot_listen
from flamepy.server.session_table import SessionTable
from flamepy.server.settings import Settings
from flamepy.server.task_watchers import TaskWatchers
from flamepy.wire import messages

_MAX_SOCKET_PATH_BYTES = 90  # a kernel takes 103 at least; behind the directory comes the number of an executor
_LISTENERS_END_S = 1.0  # for what is being sent when the server ends
_READ_BYTES = 256 << 20  # of a request, before it is refused; a cluster's limit, which is lower, is told in its words
_PYTHON_VARIABLE = "FLAME_WORKER_PYTHON"  # what our own worker tries first (instance/launch.sh)
_CALLS = 1_000_000
_OPTIONS = [
    ("grpc.so_reuseport", 0),  # a second server on the port is an error, and does not get half of the calls
    ("grpc.max_receive_message_length", _READ_BYTES),
    ("grpc.max_send_message_length", -1),
    # Thousands of calls that come at once wait for their turn: by default some of them are cancelled, unanswered.
    ("grpc.server.max_pending_requests", _CALLS),
    ("grpc.server.max_pending_requests_hard_limit", _CALLS),
    ("grpc.server_max_unrequested_time_in_server", 3600),  # seconds
    ("grpc.http2.max_ping_strikes", 0),  # clients may look as often as they like whether we are there
    ("grpc.keepalive_permit_without_calls", 1),
]


class Server:
    """Made by ``start``. endpoint, cache_endpoint: what clients connect to.

    is_stuck: after its end, does a client still keep a thread of it?
    """

    def __init__(self) -> None:
        self._undo = contextlib.AsyncExitStack()
        self.endpoint = ""
        self.cache_endpoint = ""
        self.is_stuck = False

    @classmethod
    async def start(cls, settings: Settings) -> Server:
        """Return when it answers. Raises FlameError where it cannot listen; then nothing is left."""
        server = cls()
        try:
            await server._start(settings)
        except BaseException:
            await server._undo.aclose()
            raise
        return server

    async def _start(self, settings: Settings) -> None:
        raise_descriptor_limit()
        for left in left_behind(tempfile.gettempdir()):
            shutil.rmtree(left, ignore_errors=True)
        scratch, lock = new_scratch()
        self._undo.callback(os.close, lock)
        sockets = _socket_directory(scratch)
        guard = Guard(str(scratch), sockets)
        self._undo.push_async_callback(asyncio.to_thread, guard.close)
        directories = {name: scratch / name for name in ("packages", "objects", "logs", "home")}
        for directory in directories.values():
            directory.mkdir()
        host = settings.advertised_name or advertised_host(settings.host)
        certificates = None
        if settings.tls is not None:
            certificates = read_certificates(settings.tls, host=host, workers=tls_of_environment(os.environ))

        objects = ObjectTable(PayloadMemory(settings.memory_bytes, directories["objects"]))
        self._flight = _flight_server(objects, settings, host, certificates)
        self._undo.push_async_callback(self._end_flight)
        scheme = "grpc" if certificates is None else "grpcs"
        self.cache_endpoint = f"{scheme}://{in_url(host)}:{self._flight.port}"

        grpc_server = grpc.aio.server(options=_OPTIONS)
        port = _listen(grpc_server, settings.host, settings.port, certificates)
        self.endpoint = f"{'http' if certificates is None else 'https'}://{in_url(host)}:{port}"

        def content_of(url: str) -> str:
            parts = urlsplit(url)
            if f"{parts.scheme}://{parts.netloc}" == self.cache_endpoint:
                stored = objects.find(parts.path.lstrip("/"))
                return "" if stored is None else str(stored.version)
            return file_content(url)

        workers_tls = None if certificates is None else certificates.workers

        def download(url: str, target: str) -> None:
            is_ours = url.startswith(f"{self.cache_endpoint}/")
            download_object(url, target, workers_tls if is_ours else tls_of_environment(os.environ))

        self._watchers = TaskWatchers()
        applications = ApplicationTable(_now, lambda name: sessions.has_open(name))  # noqa: PLW0108 - it comes below
        sessions = SessionTable(_now, lambda name: applications.get(name).generation, self._watchers)
        node = socket.gethostname()
        workshop = Workshop(
            directory=scratch,
            socket_directory=sockets,
            home=os.environ.get("FLAME_HOME") or str(directories["home"]),
            endpoint=self.endpoint,
            cache_endpoint=self.cache_endpoint,
            inherited={_PYTHON_VARIABLE: sys.executable, **os.environ},
            tls=workers_tls,
            start_limit_s=settings.start_limit_s,
            installer=PackageInstaller(str(directories["packages"]), download, content_of),
            guard=guard,
        )
        self._pool = ExecutorPool(settings.slots, node, applications, sessions, workshop)
        self._frontend = Frontend(applications, sessions, self._watchers, self._pool, _node(node, settings.slots))
        grpc_server.add_generic_rpc_handlers((self._frontend.handler(),))
        await grpc_server.start()
        self._grpc_server = grpc_server

    async def close(self, grace_s: float) -> None:
        """Take nothing new, give running tasks ``grace_s`` seconds, and end with everything that was started."""
        self._frontend.end()
        await self._pool.drain(grace_s)  # workers write into the object cache up to their end
        self._watchers.end(ServerEnding())
        await self._grpc_server.stop(_LISTENERS_END_S)
        await self._undo.aclose()

    async def _end_flight(self) -> None:
        """It waits for clients that are in the middle of an object, and some never go on."""
        ended = in_daemon_thread(self._flight.shutdown)
        await asyncio.wait({ended}, timeout=_LISTENERS_END_S)
        self.is_stuck = not ended.done()

    def hurry(self) -> None:
        """While it is being closed: running tasks get no more time."""
        self._pool.stop_running()


def advertised_host(host: str) -> str:
    """What others reach a server by that listens on ``host``: a wildcard is no address."""
    return socket.gethostname() if host in ("", "0.0.0.0", "::") else host  # noqa: S104 - compared, not bound


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _socket_directory(scratch: Path) -> str:
    """Where workers listen: in the scratch directory, unless the kernel takes no path as long as that."""
    directory = scratch / "sockets"
    if len(os.fsencode(directory)) <= _MAX_SOCKET_PATH_BYTES:
        directory.mkdir()
        return str(directory)
    return tempfile.mkdtemp(prefix="flame-", dir="/tmp")  # a short one, made for us alone


def _listen(server: grpc.aio.Server, host: str, port: int, certificates: ServerCertificates | None) -> int:
    address = f"{in_url(host)}:{port}"
    try:
        if certificates is None:
            return int(server.add_insecure_port(address))
        ours = grpc.ssl_server_credentials(
            [(certificates.key, certificates.certificate)],
            root_certificates=certificates.client_authority,
            require_client_auth=certificates.client_authority is not None,
        )
        return int(server.add_secure_port(address, ours))
    except RuntimeError as error:
        raise cannot_listen("port", host, port, "it cannot be listened on") from error


def _flight_server(
    objects: ObjectTable, settings: Settings, host: str, certificates: ServerCertificates | None
) -> ObjectFlightServer:
    try:
        return ObjectFlightServer(
            objects,
            host=settings.host,
            port=settings.cache_port,
            advertised_host=host,
            certificates=certificates,
        )
    except (pa.ArrowException, OSError) as error:
        raise cannot_listen("cache port", settings.host, settings.cache_port, "it cannot be listened on") from error


def _node(name: str, slots: int) -> messages.Node:
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    capacity = messages.ResourceRequirement(cpu=os.cpu_count() or 1, memory=memory_bytes)
    return messages.Node(
        metadata=messages.Metadata(id=name, name=name),
        spec=messages.NodeSpec(hostname=name),
        status=messages.NodeStatus(
            state="Ready",
            capacity=capacity,
            allocatable=messages.ResourceRequirement(cpu=slots, memory=memory_bytes),
            info=messages.NodeInfo(arch=platform.machine(), os=platform.system().lower()),
        ),
    )
