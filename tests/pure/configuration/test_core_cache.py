# SPDX-License-Identifier: Apache-2.0
"""Names of objects: references survive their encoded form, keys accept what the cache accepts and nothing else."""

from __future__ import annotations

import pytest

from flamepy.core.cache import ObjectKey, ObjectRef


@pytest.mark.parametrize("version", [0, 1, 2**31 - 1, 2**31, 2**63 - 1])
@pytest.mark.parametrize("text", ["", "grpc://h:1", "schlüssel/日本/🔥"])
def test_a_reference_survives_encoding(text: str, version: int) -> None:
    reference = ObjectRef(text, text, version)
    assert ObjectRef.decode(reference.encode()) == reference


def test_a_reference_without_a_version_asks_for_the_newest() -> None:
    data = bytes.fromhex("2000000002656e64706f696e7400020000006500026b657900020000006b0000")
    assert ObjectRef.decode(data) == ObjectRef("e", "k", 0)


WHOLE = ObjectRef("e", "k", 1).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\5\0\0\0\0", id="no fields"),
        pytest.param(WHOLE[:-1], id="cut off"),
        pytest.param(WHOLE + b"\0", id="too long"),
        pytest.param(WHOLE[:-1] + b"\1", id="no end"),
        pytest.param(WHOLE.replace(b"\x10version", b"\x08version"), id="a foreign type"),
        pytest.param(WHOLE.replace(b"version", b"variant"), id="a foreign field"),
        pytest.param(WHOLE.replace(b"endpoint", b"endpaint"), id="a missing field"),
        pytest.param(b"pickled?", id="something else"),
    ],
)
def test_bytes_that_are_no_reference_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="not an encoded ObjectRef"):
        ObjectRef.decode(data)


@pytest.mark.parametrize("path", ["app/s", "app/s/o", "app/*", "a b/é:1/@x", "app/shared", "app/./o"])
def test_good_paths_come_back_as_they_were(path: str) -> None:
    key = ObjectKey.from_path(path)
    assert (key.to_prefix() if key.object_id is None else key.to_key()) == path


BAD_PATHS = [
    "",
    "app",
    "a/b/c/d",
    "/s",
    "app/",
    "app//o",
    "app/s/",
    "../s",
    "app/a..b",
    "app/s\\t",
    "*/s",
    "*/*",
    "app/*/o",
]


@pytest.mark.parametrize("path", [*BAD_PATHS, "app/s/*"])
def test_bad_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid|Wildcard"):
        ObjectKey.from_path(path)


def test_a_prefix_is_no_key_and_a_key_is_no_prefix() -> None:
    with pytest.raises(ValueError, match="Invalid key"):
        ObjectKey.from_key("app/s")
    with pytest.raises(ValueError, match="Invalid prefix"):
        ObjectKey.from_prefix("app/s/o")
    with pytest.raises(ValueError, match="add an object id"):
        ObjectKey("app", "s").to_key()


def test_a_component_may_not_smuggle_in_another() -> None:
    with pytest.raises(ValueError, match="Invalid key component"):
        ObjectKey("app", "s/t")


def test_generated_ids_differ_and_stay_below_the_prefix() -> None:
    prefix = ObjectKey.for_shared("app")
    first, second = prefix.with_generated_id(), prefix.with_generated_id()
    assert first != second
    assert prefix.matches_key(first.to_key())


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("app/s", "app/s/o", True),
        ("app/s", "app/st/o", False),
        ("app/*", "app/st/o", True),
        ("app/*", "apple/s/o", False),
        ("app/s/o", "app/s/o", True),
        ("app/s/o", "app/s/o2", False),
    ],
)
def test_a_prefix_matches_whole_components(pattern: str, key: str, expected: bool) -> None:
    assert ObjectKey.from_path(pattern).matches_key(key) is expected


def test_all_sessions_of_an_application_have_a_prefix() -> None:
    assert ObjectKey.for_all_sessions("app").to_prefix() == "app/*"
    assert ObjectKey.for_all_sessions("app").is_all_sessions()
