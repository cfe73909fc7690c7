# SPDX-License-Identifier: Apache-2.0
"""How a cluster is: asked once for all who look, and never waited for longer than they say."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from flamepy.core.cluster import ClusterView
from flamepy.engine.cluster.connection import Connection
from flamepy.engine.cluster.survey import Surveyor, ask
from tests.signs import BOUND_S, reached


@pytest.fixture
def silent() -> Iterator[Connection]:
    """To a program that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = Connection(f"http://127.0.0.1:{server.getsockname()[1]}")
        yield connection
        connection.close(BOUND_S)


def test_one_that_is_silent_is_waited_for_as_long_as_is_said_and_how_long_it_is_silent_is_known(
    silent: Connection,
) -> None:
    surveyor = Surveyor(silent, list)
    began_s = time.monotonic()
    views: list[ClusterView] = []

    def is_silent_for_a_while() -> bool:
        views.append(surveyor.latest(0.01))
        return views[-1].silent_s > 0.1

    assert reached(is_silent_for_a_while)
    assert all(each.problem.startswith("no answer in ") for each in views)
    assert views[-1].silent_s <= time.monotonic() - began_s
    assert ask(silent, 0.1).problem == "no answer in 0.1 s"


def test_one_that_refuses_says_so_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    connection = Connection(f"http://127.0.0.1:{port}")
    view = Surveyor(connection, list).latest(BOUND_S)
    assert (view.problem, view.nodes) == ("Connection refused", ())
    connection.close(BOUND_S)
