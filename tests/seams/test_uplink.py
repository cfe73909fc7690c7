# SPDX-License-Identifier: Apache-2.0
"""The uplink between a call and its engine, over real sockets: what is told when one end is short of something."""

from __future__ import annotations

import resource
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from flamepy.codec.payload import Payload
from flamepy.core.descriptors import too_few_descriptors
from flamepy.core.task import TaskState
from flamepy.engine.api import Call, EngineInfo
from flamepy.engine.uplink.client import UplinkEngine
from flamepy.engine.uplink.wire import receive_message, send_message
from flamepy.errors import FlameError
from flamepy.protocol import frames
from tests.signs import BOUND_S

LONG = "x" * (frames.PACKET_BYTES + 1)  # does not fit into a packet


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with one, other:
        yield one, other


@contextmanager
def _without_descriptors() -> Iterator[None]:
    """This process may open no more files."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


class Host:
    """The other end of the first connection, which does what a test tells it."""

    def __init__(self, address: Path, conversation: Callable[[socket.socket], None]) -> None:
        self.address = str(address)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._listener.bind(self.address)
        self._listener.listen()
        self._listener.settimeout(BOUND_S)
        self._conversation = conversation
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with self._listener.accept()[0] as peer:
            self._conversation(peer)

    def close(self) -> None:
        self._thread.join(BOUND_S)
        assert not self._thread.is_alive()
        self._listener.close()


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Callable[[Callable[[socket.socket], None]], Host]]:
    with ExitStack() as undo:

        def start(conversation: Callable[[socket.socket], None]) -> Host:
            host = Host(tmp_path / "host", conversation)
            undo.callback(host.close)
            return host

        yield start


def _answer_hello(peer: socket.socket) -> None:
    received = receive_message(peer)
    assert received is not None
    send_message(peer, (received.message[0], None, (EngineInfo("scripted"), "endpoint", "packages")))


# --- the wire ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unread", [0, 1, 3])
def test_what_was_sent_before_the_end_arrives_whatever_the_other_end_has_not_read(
    ends: tuple[socket.socket, socket.socket], unread: int
) -> None:
    here, there = ends
    for number in range(unread):
        send_message(here, (number, "question", ()))
    send_message(there, (1, "reason", None))
    send_message(there, (2, "another", None))
    there.close()
    received = [receive_message(here) for _ in range(3)]
    assert [each and each.message for each in received] == [(1, "reason", None), (2, "another", None), None]


def test_of_a_long_message_that_finds_no_descriptor_the_request_is_known_and_the_next_message_arrives(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    here, there = ends
    send_message(here, (7, LONG, ()))
    send_message(here, (8, "short", ()))
    with _without_descriptors():
        long, short = receive_message(there), receive_message(there)
    assert long is not None
    assert long.message[0] == 7
    assert "ulimit -n" in str(long.damage)
    assert short is not None
    assert (short.message, short.damage) == ((8, "short", ()), None)


# --- the worker's end -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_asked_first", [True, False])
def test_a_connection_that_is_turned_away_says_why_before_and_after_it_has_asked(
    host: Callable[[Callable[[socket.socket], None]], Host], is_asked_first: bool
) -> None:
    def turn_away(peer: socket.socket) -> None:
        if is_asked_first:
            assert select.select([peer], [], [], BOUND_S)[0]
        send_message(peer, (1, too_few_descriptors("the engine cannot take another connection"), None))

    with pytest.raises(FlameError, match=r"another connection.*ulimit -n"):
        UplinkEngine(host(turn_away).address)


def test_calls_whose_connection_is_lost_end_with_an_error(
    host: Callable[[Callable[[socket.socket], None]], Host],
) -> None:
    waits = threading.Event()

    def take_calls_and_end(peer: socket.socket) -> None:
        _answer_hello(peer)
        for _ in range(2):
            received = receive_message(peer)
            assert received is not None
            send_message(peer, (received.message[0], None, f"task-{received.message[0]}"))
        assert waits.wait(BOUND_S)

    engine = UplinkEngine(host(take_calls_and_end).address)
    called_back: list[Any] = []
    is_called_back = threading.Event()
    try:
        awaited, attached = (engine.submit("session", Call(Payload(b""), [], "call")) for _ in range(2))
        attached.on_done(lambda: called_back.append(attached.outcome))
        attached.on_done(is_called_back.set)
        waits.set()
        assert awaited.wait(BOUND_S)
        assert awaited.outcome is not None
        assert awaited.outcome.state is TaskState.FAILED
        assert "the engine that runs this call is gone" in str(awaited.outcome.error)
        assert is_called_back.wait(BOUND_S)
        assert [outcome.state for outcome in called_back] == [TaskState.FAILED]
        assert not engine.is_alive
    finally:
        engine.close()
