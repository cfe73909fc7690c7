# SPDX-License-Identifier: Apache-2.0
"""What a reader of an object is sent who has some version of it, and what a worker finds in its environment."""

from __future__ import annotations

import pytest

from flamepy.server.executors.worker_environ import Surroundings, binary_environ, expanded, worker_environ
from flamepy.server.objects.versions import Reply, reply_to

AROUND = Surroundings("/s/1", "http://h:1", "grpc://h:2", "/flame", "/s", "/w/tmp")


@pytest.mark.parametrize(
    ("has", "base", "patches", "is_table", "gets"),
    [
        (0, 1, [], False, Reply.EVERYTHING),
        (1, 1, [], False, Reply.NOTHING),
        (1, 1, [2, 3], False, Reply.PATCHES),
        (2, 1, [2, 3], False, Reply.PATCHES),
        (3, 1, [2, 3], False, Reply.NOTHING),
        (9, 1, [2, 3], False, Reply.EVERYTHING),  # of an object that was there before
        (1, 4, [5], False, Reply.EVERYTHING),  # it was written anew
        (1, 1, [3], False, Reply.EVERYTHING),  # a patch is missing
        (1, 1, [2], True, Reply.EVERYTHING),
        (2, 1, [2], True, Reply.NOTHING),
    ],
)
def test_a_reader_gets_what_it_lacks(has: int, base: int, patches: list[int], is_table: bool, gets: Reply) -> None:
    assert reply_to(has, base_version=base, patch_versions=patches, is_table=is_table) is gets


def test_what_is_unknown_stays_as_it_is_written() -> None:
    assert expanded("$A/${B}/$C ${D", {"A": "1", "B": "$A"}) == "1/$A/$C ${D"


def test_a_worker_is_told_where_it_is_and_its_package_comes_first() -> None:
    inherited = {"PATH": "/bin", "RUST_LOG": "debug", "FLAME_ENDPOINT": "http://elsewhere", "X": "x"}
    wanted = {"PATH": "/own", "PLACE": "${FLAME_HOME}/$X", "TMP": "/own/tmp", "FLAME_LOG": "trace"}
    environ = worker_environ(inherited, wanted, binary_environ("/app"), AROUND)
    assert environ["PATH"] == "/app/bin:/app:/own"
    assert environ["PLACE"] == "/flame/x"
    assert environ["FLAME_APP_DIR"] == "/app"
    assert environ["FLAME_ENDPOINT"] == "http://h:1"
    assert environ["FLAME_INSTANCE_ENDPOINT"] == "/s/1"
    assert (environ["TMP"], environ["TMPDIR"]) == ("/own/tmp", "/w/tmp")
    assert (environ["FLAME_LOG"], environ["X"]) == ("debug", "x")
