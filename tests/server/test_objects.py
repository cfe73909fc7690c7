# SPDX-License-Identifier: Apache-2.0
"""The object cache of the server, as a client of Arrow Flight sees it."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pytest
from pyarrow import flight

from flamepy.core.names import short_name
from tests.server.running import OPAQUE, RunningServer, opaque_row


@pytest.fixture
def key() -> str:
    return f"app/{short_name('session')}/object"


def test_rows_of_a_put_are_one_object_and_each_put_is_a_new_version(server: RunningServer, key: str) -> None:
    ref = server.put(key, b"one ", b"", b"object")
    assert (ref.endpoint, ref.key, ref.version) == (server.cache_endpoint, key, 1)
    assert server.get(key) == [(1, "base", b"one object")]
    assert server.put(key, b"").version == 2
    assert server.get(f"{key}:1") == [(2, "base", b"")]


def test_a_put_below_a_prefix_makes_up_an_id(server: RunningServer) -> None:
    first, second = (server.put("app/session", b"x") for _ in range(2))
    assert first.key.startswith("app/session/")
    assert first.key != second.key


def test_a_reader_gets_the_patches_that_it_lacks(server: RunningServer, key: str) -> None:
    server.put(key, b"base")
    assert server.get(f"{key}:1") == []
    assert server.patch(key, b"a", b"b").version == 2
    assert server.patch(key, b"c").version == 3
    assert server.get(f"{key}:1") == [(2, "patch", b"ab"), (3, "patch", b"c")]
    assert server.get(f"{key}:2") == [(3, "patch", b"c")]
    assert server.get(f"{key}:3") == []
    assert server.get(f"{key}:4") == server.get(key) == [(1, "base", b"base"), (2, "patch", b"ab"), (3, "patch", b"c")]
    server.put(key, b"new")
    assert server.get(f"{key}:3") == [(4, "base", b"new")]


def test_the_document_of_a_reference_has_a_wide_version(server: RunningServer, key: str) -> None:
    writer, replies = server.cache.do_put(flight.FlightDescriptor.for_path(key), OPAQUE)
    with writer:
        writer.write_batch(opaque_row(b"x"))
        writer.done_writing()
        assert replies.read().to_pybytes().endswith(b"\x12version\x00" + (1).to_bytes(8, "little") + b"\x00")
        assert replies.read() is None


def test_a_table_comes_back_as_a_table(server: RunningServer, key: str) -> None:
    table = pa.table({"n": [1, 2, 3]}).replace_schema_metadata({"flame.cache.format": "arrow-table-v1", "own": "kept"})
    server.put_table(key, table)
    assert server.put_table(key, table).version == 2
    got = server.cache.do_get(flight.Ticket(f"{key}:1")).read_all()
    assert got.equals(table)
    assert got.schema.metadata[b"flame.cache.version"] == b"2"
    assert got.schema.metadata[b"own"] == b"kept"
    assert server.cache.do_get(flight.Ticket(f"{key}:2")).read_all().num_rows == 0
    info = server.cache.get_flight_info(flight.FlightDescriptor.for_path(key))
    assert info.schema.names == ["n"]


def test_deleting_takes_whole_parts_of_a_key(server: RunningServer) -> None:
    for key in ("del/a/x", "del/a/y", "del/ab/x", "del2/a/x"):
        server.put(key, b"x")

    def left() -> list[str]:
        tickets = (info.endpoints[0].ticket.ticket.decode() for info in server.cache.list_flights())
        return sorted(ticket for ticket in tickets if ticket.startswith("del"))

    for path, expected in (
        ("del/a/x", ["del/a/y", "del/ab/x", "del2/a/x"]),
        ("del/a", ["del/ab/x", "del2/a/x"]),
        ("del/*", ["del2/a/x"]),
        ("del/*", ["del2/a/x"]),
    ):
        (result,) = server.cache.do_action(flight.Action("DELETE", path.encode()))
        assert result.body.to_pybytes() == b"OK"
        assert left() == expected


def test_the_place_of_an_object_is_told_whether_or_not_it_is_there(server: RunningServer, key: str) -> None:
    (endpoint,) = server.cache.get_flight_info(flight.FlightDescriptor.for_path(key)).endpoints
    assert (endpoint.ticket.ticket, [each.uri for each in endpoint.locations]) == (
        key.encode(),
        [server.cache_endpoint.encode()],
    )


def test_more_than_the_memory_is_on_disk_and_not_lost(server: RunningServer, key: str) -> None:
    """The server has room for a MiB."""
    sizes = [300_000, 400_000, 500_000, 2_000_000]
    for number, size in enumerate(sizes):
        server.put(f"{key}{number}", bytes([number]) * size)
    for number, size in enumerate(sizes):
        assert server.get(f"{key}{number}") == [(1, "base", bytes([number]) * size)]
    files = [path for path in server.temporary.rglob("objects/*") if path.stat().st_size in sizes]
    assert sum(path.stat().st_size for path in files) >= sum(sizes) - (1 << 20)
    list(server.cache.do_action(flight.Action("DELETE", key.rpartition("/")[0].encode())))
    assert not [path for path in files if path.exists()]


ACTIONS: dict[str, Callable[[RunningServer], object]] = {
    "unknown": lambda server: server.get("app/s/none"),
    "two parts": lambda server: server.get("app/s"),
    "no version": lambda server: server.get("app/s/o:x"),
    "climbs out": lambda server: server.put("app/../o", b"x"),
    "all sessions": lambda server: server.put("app/*", b"x"),
    "one part": lambda server: server.put("app", b"x"),
    "patch of none": lambda server: server.patch("app/s/none", b"x"),
    "other command": lambda server: server.put_at(flight.FlightDescriptor.for_command("MOVE:a/b/c"), b"x"),
    "no rows": lambda server: server.put("app/s/o"),
    "wrong columns": lambda server: server.put_table("app/s/o", pa.table({"version": ["1"], "data": [b"x"]})),
    "action": lambda server: list(server.cache.do_action(flight.Action("MOVE", b"a/b"))),
}


@pytest.mark.parametrize(
    ("action", "kind", "words"),
    [
        ("unknown", KeyError, "object <app/s/none> not found"),
        ("two parts", ValueError, "Invalid key 'app/s': expected '<app>/"),
        ("no version", ValueError, "Invalid version: "),
        ("climbs out", ValueError, "Invalid key component: '..'"),
        ("all sessions", ValueError, "Invalid path 'app"),
        ("one part", ValueError, "Invalid path 'app': expected '<app>/"),
        ("patch of none", KeyError, "object <app/s/none> not found for patch"),
        ("other command", ValueError, "key must be provided in descriptor path or command"),
        ("no rows", ValueError, "No data received"),
        ("wrong columns", flight.FlightInternalError, "Invalid version column"),
        ("action", ValueError, "Unknown action type: MOVE. Only DELETE is supported."),
    ],
)
def test_what_is_refused_has_the_code_and_the_words_of_a_cluster(
    server: RunningServer, action: str, kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        ACTIONS[action](server)
    assert words in str(caught.value).partition("\n")[0]
