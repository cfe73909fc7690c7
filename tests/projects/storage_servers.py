# SPDX-License-Identifier: Apache-2.0
"""Servers that keep packages: HTTP with PUT and DELETE, plain or with MOVE, and S3."""

from __future__ import annotations

import base64
import contextlib
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import BaseServer
from urllib.parse import urlsplit

import pytest

S3_BUCKET = "packages"


@dataclass
class Answer:
    """Instead of doing it. status: 0 = hang up without a word, 100 = do it. after: wait for that first."""

    status: int
    after: threading.Event | None = None


@dataclass
class HttpFiles:
    """A server's files by path, what it was asked for, and what it is told to answer: method -> answers, in order."""

    port: int = 0
    scheme: str = "http"
    moves: bool = False
    user: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    waiting: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"{self.scheme}://localhost:{self.port}/packages"

    def methods(self) -> list[str]:
        return [method for method, _ in self.asked]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: HttpFiles  # of the server

    def log_message(self, *args: object) -> None:
        pass

    def do_OPTIONS(self) -> None:
        if self._may_go_on():
            self._answer(200, headers={"Allow": "GET, HEAD, PUT, DELETE" + (", MOVE" if self.state.moves else "")})

    def do_HEAD(self) -> None:
        if self._may_go_on():
            self._answer(200 if self.path in self.state.files else 404)

    def do_GET(self) -> None:
        if self._may_go_on():
            found = self.state.files.get(self.path)
            self._answer(404 if found is None else 200, found or b"")

    def do_PUT(self) -> None:
        if self._may_go_on():
            body = self._body()
            if len(body) < int(self.headers["Content-Length"]):
                return  # the client has hung up: servers throw a half away
            if self.headers.get("If-None-Match") == "*" and self.path in self.state.files:
                self._answer(412)
            else:
                self.state.files[self.path] = body
                self._answer(201)

    def do_DELETE(self) -> None:
        if self._may_go_on():
            self._answer(204 if self.state.files.pop(self.path, None) is not None else 404)

    def do_MOVE(self) -> None:
        if self._may_go_on():
            target = urlsplit(self.headers["Destination"]).path
            if target in self.state.files:
                self._answer(412)
            else:
                self.state.files[target] = self.state.files.pop(self.path)
                self._answer(201)

    def _may_go_on(self) -> bool:
        self.state.asked.append((self.command, self.path))
        told = self.state.answers.get(self.command)
        if told:
            answer = told.pop(0)
            if answer.after is not None:
                self.state.waiting.set()
                answer.after.wait(60)
            if answer.status == 100:
                return True
            if answer.status:
                self._body()
                self._answer(answer.status)
            self.close_connection = True
            return False
        wanted = "Basic " + base64.b64encode(self.state.user.encode()).decode()
        if self.state.user and self.headers.get("Authorization") != wanted:
            self._body()
            self._answer(401)
            return False
        return True

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that trusts no certificate hangs up."""


@contextlib.contextmanager
def http_server(*, moves: bool = False, user: str = "", tls: ssl.SSLContext | None = None) -> Iterator[HttpFiles]:
    """user: ``name:password`` that it wants."""
    state = HttpFiles(moves=moves, user=user, scheme="https" if tls else "http")
    handler = type("Handler", (_Handler,), {"state": state})
    with _Server(("127.0.0.1", 0), handler) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        state.port = server.server_address[1]
        with _serving(server):
            yield state


@contextlib.contextmanager
def _serving(server: BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """An S3 API with an empty bucket; yields its address."""
    import logging

    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True)
    with _serving(server):
        url = f"http://127.0.0.1:{server.server_port}"
        with urllib.request.urlopen(urllib.request.Request(f"{url}/{S3_BUCKET}", method="PUT")):
            pass
        yield url
    server.server_close()


def use_s3(monkeypatch: pytest.MonkeyPatch, url: str, home: Path, **variables: str) -> None:
    """Let S3's libraries find this server and these credentials, and nothing of this machine."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    given = {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test-key",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(home / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
        **variables,
    }
    for name, value in given.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name, raising=False)
