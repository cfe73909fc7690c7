# SPDX-License-Identifier: Apache-2.0
"""The object cache: versions, patches, deletion, private copies, and a memory limit over which nothing is lost."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import numpy as np
import pytest

from flamepy.cache.api import ObjectStore
from flamepy.cache.blob import Blob, blob_of
from flamepy.cache.budget import SegmentBudget
from flamepy.cache.eviction import to_spill
from flamepy.cache.objects import delete_objects, get_object, patch_object, put_object, update_object
from flamepy.cache.store import MemoryStore
from flamepy.codec.pickling import encode
from flamepy.core.cache import ObjectRef
from flamepy.errors import InvalidArgument, NotFound, NotPicklable

ENDPOINT = "embedded://test"
ONE_MB = 1_000_000


@pytest.fixture
def store() -> ObjectStore:
    return MemoryStore(ENDPOINT, memory_limit_bytes=None, spill_directory=None)


def big_blob(number: int) -> Blob:
    return Blob.of(encode(np.full(ONE_MB // 8, number, dtype="i8")))


def test_a_new_object_gets_an_id_of_its_own_and_version_1(store: ObjectStore) -> None:
    first, second = put_object(store, "app/s", "a"), put_object(store, "app/s", "b")
    assert first.key != second.key
    assert first.key.startswith("app/s/")
    assert (first.endpoint, first.version) == (ENDPOINT, 1)
    assert (get_object(store, first), get_object(store, second)) == ("a", "b")


def test_every_change_is_a_new_version_and_any_reference_reads_the_newest(store: ObjectStore) -> None:
    first = put_object(store, "app/s", "a")
    second = update_object(store, first, "b")
    third = patch_object(store, first, "+c")
    assert [ref.version for ref in (first, second, third)] == [1, 2, 3]
    assert {ref.key for ref in (first, second, third)} == {first.key}
    assert get_object(store, first) == "b"
    assert get_object(store, ObjectRef(ENDPOINT, first.key)) == "b"


def test_patches_are_applied_in_order_by_the_deserializer_and_dropped_by_an_update(store: ObjectStore) -> None:
    def joined(base: str, patches: list[str]) -> str:
        return "".join([base, *patches])

    ref = put_object(store, "app/s", "a")
    for patch in "bcd":
        patch_object(store, ref, patch)
    assert get_object(store, ref, joined) == "abcd"
    assert get_object(store, ref) == "a"
    assert update_object(store, ref, "z").version == 5
    assert get_object(store, ref, joined) == "z"


def test_putting_under_a_full_key_creates_or_replaces(store: ObjectStore) -> None:
    payload = encode("x")
    assert store.put("app/s/o", payload) == ObjectRef(ENDPOINT, "app/s/o", 1)
    assert store.put("app/s/o", payload).version == 2
    store.delete("app/s/o")
    assert store.put("app/s/o", payload).version == 1


@pytest.mark.parametrize(
    ("prefix", "left"),
    [
        ("app/s/o", {"app/s/p", "app/t/o", "apple/s/o"}),
        ("app/s", {"app/t/o", "apple/s/o"}),
        ("app/*", {"apple/s/o"}),
        ("app/none", {"app/s/o", "app/s/p", "app/t/o", "apple/s/o"}),
        ("none/*", {"app/s/o", "app/s/p", "app/t/o", "apple/s/o"}),
        ("none/s/o", {"app/s/o", "app/s/p", "app/t/o", "apple/s/o"}),
    ],
)
def test_deletion_takes_an_object_a_session_or_an_application(store: ObjectStore, prefix: str, left: set[str]) -> None:
    keys = ["app/s/o", "app/s/p", "app/t/o", "apple/s/o"]
    for key in keys:
        store.put(key, encode(key))
    delete_objects(store, prefix)
    found = set()
    for key in keys:
        try:
            found.add(get_object(store, ObjectRef(ENDPOINT, key)))
        except NotFound:
            continue
    assert found == left


def test_an_unknown_object_is_not_found_and_the_error_says_what_to_do(store: ObjectStore) -> None:
    unknown = ObjectRef(ENDPOINT, "app/s/o", 1)
    with pytest.raises(NotFound, match=r"object app/s/o not found in .* Put it again"):
        get_object(store, unknown)
    with pytest.raises(NotFound, match="object app/s/o not found for patch"):
        patch_object(store, unknown, 1)
    with pytest.raises(NotFound, match=r"not found.*'grpc://other:1'"):
        get_object(store, ObjectRef("grpc://other:1", "app/s/o", 1))


@pytest.mark.parametrize("key", ["", "app", "app/s/o/x", "app//o", "../s", "*/s", "app/*/o"])
def test_malformed_keys_are_refused_everywhere(store: ObjectStore, key: str) -> None:
    payload = encode(1)
    for action in (
        lambda: store.put(key, payload),
        lambda: store.get(ObjectRef(ENDPOINT, key)),
        lambda: store.patch(ObjectRef(ENDPOINT, key), payload),
        lambda: store.delete(key),
    ):
        with pytest.raises(InvalidArgument):
            action()


def test_prefixes_where_a_key_is_needed_are_refused(store: ObjectStore) -> None:
    with pytest.raises(InvalidArgument, match="Invalid key"):
        get_object(store, ObjectRef(ENDPOINT, "app/s"))
    with pytest.raises(InvalidArgument, match="all sessions"):
        put_object(store, "app/*", 1)


def test_a_value_that_cannot_be_pickled_is_named_with_its_key(store: ObjectStore) -> None:
    with pytest.raises(NotPicklable, match=r"object for app/s cannot be pickled .*_thread\.lock"):
        put_object(store, "app/s", threading.Lock())


@pytest.mark.parametrize("count", [10, 100_000], ids=["small", "big"])
def test_what_comes_out_is_a_private_copy(store: ObjectStore, count: int) -> None:
    original = np.zeros(count)
    ref = put_object(store, "app/s", original)
    original[:] = 1
    first = get_object(store, ref)
    first[:] = 2
    assert (get_object(store, ref) == 0).all()


def test_changes_from_many_threads_are_all_counted(store: ObjectStore) -> None:
    ref = put_object(store, "app/s", "base")
    start = threading.Barrier(4)

    def patch(name: str) -> None:
        start.wait(10)
        for number in range(100):
            patch_object(store, ref, (name, number))

    threads = [threading.Thread(target=patch, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    patches: list[tuple[str, int]] = get_object(store, ref, lambda base, patches: patches)
    assert store.get(ref).version == 401
    for name in "abcd":
        assert [number for who, number in patches if who == name] == list(range(100))


def test_over_the_limit_the_oldest_values_move_to_disk_and_none_is_lost(tmp_path: Path) -> None:
    store = MemoryStore(ENDPOINT, memory_limit_bytes=3 * ONE_MB, spill_directory=str(tmp_path))
    refs = [put_object(store, "app/s", np.full(ONE_MB // 8, number)) for number in range(6)]
    on_memory = [blob.segment is not None and blob.segment.is_in_memory() for blob in blobs_of(store, refs)]
    assert on_memory == [False, False, False, False, True, True]  # a value is a little more than its array
    assert store.budget.in_memory_bytes <= 3 * ONE_MB
    assert [int(get_object(store, ref)[-1]) for ref in refs] == [0, 1, 2, 3, 4, 5]
    assert list(tmp_path.iterdir()) == []


def blobs_of(store: MemoryStore, refs: list[ObjectRef]) -> list[Blob]:
    return [blob_of(store.get(ref).base) for ref in refs]


def test_a_deleted_value_counts_no_more() -> None:
    store = MemoryStore(ENDPOINT, memory_limit_bytes=None, spill_directory=None)
    put_object(store, "app/s", np.ones(ONE_MB // 8))
    assert store.budget.in_memory_bytes >= ONE_MB
    store.delete("app/*")
    gc.collect()
    assert store.budget.in_memory_bytes == 0


def test_a_value_that_is_admitted_again_counts_once_and_as_the_newest(tmp_path: Path) -> None:
    budget = SegmentBudget(int(2.5 * ONE_MB), str(tmp_path))
    first, second, third = big_blob(1), big_blob(2), big_blob(3)
    for blob in (first, second, first):
        budget.admit(blob)
    assert budget.in_memory_bytes < 2.5 * ONE_MB
    budget.admit(third)
    assert [is_in_memory(blob) for blob in (first, second, third)] == [True, False, True]


def is_in_memory(blob: Blob) -> bool:
    return blob.segment is not None and blob.segment.is_in_memory()


def test_small_values_have_no_segment_and_do_not_count() -> None:
    budget = SegmentBudget(0, None)
    budget.admit(Blob.of(encode("small")))
    assert budget.in_memory_bytes == 0


def test_where_the_disk_cannot_be_written_values_stay_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore(ENDPOINT, memory_limit_bytes=ONE_MB // 2, spill_directory=str(tmp_path / "missing"))
    ref = put_object(store, "app/s", np.ones(ONE_MB // 8))
    assert "stays in memory" in caplog.text
    assert get_object(store, ref)[-1] == 1
    assert store.budget.in_memory_bytes >= ONE_MB


@pytest.mark.parametrize(
    ("sizes", "limit_bytes", "expected"),
    [
        pytest.param([5, 5, 5], None, "", id="no limit"),
        pytest.param([5, 5, 5], 15, "", id="just fits"),
        pytest.param([5, 5, 5], 14, "a", id="oldest first"),
        pytest.param([1, 9, 5], 7, "ab", id="until it fits"),
        pytest.param([5, 5, 5], 0, "abc", id="no room at all"),
        pytest.param([], 0, "", id="nothing held"),
    ],
)
def test_what_moves_to_disk_is_decided_by_age(sizes: list[int], limit_bytes: int | None, expected: str) -> None:
    held: list[tuple[str, int]] = list(zip("abc", sizes, strict=False))
    assert "".join(to_spill(held, total_bytes=sum(sizes), limit_bytes=limit_bytes)) == expected


def test_values_dropped_while_others_are_admitted_are_counted_right() -> None:
    budget = SegmentBudget(None, None)
    start = threading.Barrier(4)

    def work() -> None:
        start.wait(10)
        for number in range(50):
            budget.admit(big_blob(number))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    gc.collect()
    assert budget.in_memory_bytes == 0
