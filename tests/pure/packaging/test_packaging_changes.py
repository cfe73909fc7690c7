# SPDX-License-Identifier: Apache-2.0
"""An unchanged directory is not packed again, a changed one always is."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flamepy.core.names import SCRATCH_MARK
from flamepy.packaging import Package, PackageOptions, Packager
from flamepy.packaging.digests import COARSE_GRAIN_NS, FINE_GRAIN_NS, Contents, Reading, is_settled
from flamepy.packaging.selection.manifest import Entry, Kind, Stamp

SOME_TIME_NS = 1_700_000_000_000_000_001


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    (directory / "a.py").write_text("one")
    (directory / "b.py").write_text("two")
    return directory


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "workspace"
    directory.mkdir()
    return directory


def in_an_hour_ns() -> int:
    """A clock by which every file is old enough to be believed."""
    return time.time_ns() + 3600 * 10**9


def reads(packager: Packager, root: Path, name: str = "app") -> tuple[Package, bool]:
    """Package, and say whether files had to be packed for it."""
    packed: list[int] = []
    package = packager.package(root, name, on_progress=lambda files, _: packed.append(files))
    return package, bool(packed)


def test_an_unchanged_directory_is_not_packed_again(root: Path, workspace: Path) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    inode = first.path.stat().st_ino
    second, was_packed = reads(packager, root)
    assert not was_packed
    assert second == first
    assert second.path.stat().st_ino == inode


def test_another_name_shares_the_archive(root: Path, workspace: Path) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    other, was_packed = reads(packager, root, "other")
    assert not was_packed
    assert other.path.name == f"other-{first.sha[:12]}.tar.gz"
    assert other.path.samefile(first.path)


def test_an_edit_of_equal_length_with_its_mtime_restored_is_seen(root: Path, workspace: Path) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    before = (root / "a.py").stat()
    tick = before.st_ctime_ns
    while tick == before.st_ctime_ns:  # until the file system's clock has moved on: at most one tick
        (root / "a.py").write_text("ONE")
        os.utime(root / "a.py", ns=(before.st_atime_ns, before.st_mtime_ns))
        tick = (root / "a.py").stat().st_ctime_ns
    assert packager.stale_files(first) == ["a.py"]
    second, was_packed = reads(packager, root)
    assert was_packed
    assert second.sha != first.sha


@pytest.mark.parametrize("is_believed", [True, False])
def test_a_file_is_read_again_when_its_stamp_cannot_be_believed(is_believed: bool) -> None:
    entry = Entry("a.py", Kind.FILE, "/project/a.py", Stamp(3, 1, 1, 1, 0o100644))
    contents = Contents()
    contents.record({"a.py": Reading(entry.stamp, b"digest", is_believed)})
    assert contents.missing([entry]) == ([] if is_believed else [entry])


@pytest.mark.parametrize(
    ("ctime_ns", "read_after_ns", "is_believed"),
    [
        (SOME_TIME_NS, 0, False),
        (SOME_TIME_NS, FINE_GRAIN_NS, False),
        (SOME_TIME_NS, FINE_GRAIN_NS + 1, True),
        (SOME_TIME_NS - 1, FINE_GRAIN_NS + 1, False),  # whole seconds: perhaps the file system knows nothing finer
        (SOME_TIME_NS - 1, COARSE_GRAIN_NS + 1, True),
        (SOME_TIME_NS, -5, False),
    ],
)
def test_a_stamp_is_believed_when_the_clock_has_moved_on(ctime_ns: int, read_after_ns: int, is_believed: bool) -> None:
    assert is_settled(Stamp(1, 1, ctime_ns, 1, 0o100644), ctime_ns + read_after_ns) is is_believed


def test_a_touched_file_is_no_change(root: Path, workspace: Path) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    os.utime(root / "a.py", (1, 1))
    assert packager.stale_files(first) == []
    second, was_packed = reads(packager, root)
    assert not was_packed
    assert second.sha == first.sha


def test_drift_names_what_was_added_removed_and_changed(root: Path, workspace: Path) -> None:
    packager = Packager(workspace)
    package, _ = reads(packager, root)
    (root / "a.py").write_text("edited")
    (root / "b.py").unlink()
    (root / "sub").mkdir()
    (root / "sub" / "new é.py").write_text("")
    (root / "ignored.pyc").write_text("")
    assert packager.stale_files(package) == ["a.py", "b.py", "sub", "sub/new é.py"]


def test_drift_is_about_the_package_that_is_asked_for(root: Path, workspace: Path) -> None:
    packager = Packager(workspace)
    old, _ = reads(packager, root)
    (root / "a.py").write_text("edited")
    new, _ = reads(packager, root)
    assert packager.stale_files(old) == ["a.py"]
    assert packager.stale_files(new) == []


@pytest.mark.parametrize("name", [".gitignore", ".flameignore"])
def test_an_edited_ignore_file_takes_effect(root: Path, workspace: Path, name: str) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    assert reads(packager, root)[0].files == 2
    (root / name).write_text("a.py\n")
    assert reads(packager, root)[0].files == 1
    (root / name).write_text("nothing\n")
    assert reads(packager, root)[0].files == 2
    (root / name).write_text("b.py\n")
    assert reads(packager, root)[0].files == 1
    (root / name).unlink()
    assert reads(packager, root)[0].files == 2


def link_elsewhere(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("b.py")


def point_outside(root: Path) -> None:
    (root / "outside").unlink()
    (root / "outside").symlink_to(root.parent / "other")


def become_a_directory(root: Path) -> None:
    (root / "a.py").unlink()
    (root / "a.py").mkdir()


def become_a_file(root: Path) -> None:
    (root / "pipe").unlink()
    (root / "pipe").write_text("no pipe any more")


CHANGES: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "sub" / "c.py").write_text("edited"),
    "mode": lambda root: (root / "a.py").chmod(0o755),
    "added": lambda root: (root / "sub" / "new").touch(),
    "removed": lambda root: (root / "sub" / "c.py").unlink(),
    "renamed": lambda root: (root / "a.py").rename(root / "z.py"),
    "new directory": lambda root: (root / "sub" / "new").mkdir(),
    "removed directory": lambda root: (root / "empty").rmdir(),
    "link": link_elsewhere,
    "link that leaves": point_outside,
    "file behind a link": lambda root: (root.parent / "behind").write_text("edited"),
    "file in a directory behind a link": lambda root: (root.parent / "lib" / "more").write_text("new"),
    "file becomes a directory": become_a_directory,
    "pipe becomes a file": become_a_file,
    "filled ignore file": lambda root: (root / "sub" / ".gitignore").write_text("c.py\n"),
    "scratch directory": lambda root: (root / "flame-x" / SCRATCH_MARK).touch(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_remembered_of_a_directory_hides_no_change(
    root: Path, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    for name in ("sub", "empty", "flame-x"):
        (root / name).mkdir()
    (root / "sub" / "c.py").write_text("three")
    (root / "sub" / ".gitignore").touch()
    (root / "flame-x" / "d.py").touch()
    (root / "link").symlink_to("a.py")
    for name in ("behind", "other"):
        (tmp_path / name).write_text(name)
    (root / "outside").symlink_to(tmp_path / "behind")
    (tmp_path / "lib").mkdir()
    (root / "lib").symlink_to("../lib")
    os.mkfifo(root / "pipe")
    packager = Packager(now_ns=in_an_hour_ns)
    package, _ = reads(packager, root)
    assert packager.stale_files(package) == []

    change(root)

    assert packager.stale_files(package) != []
    again, _ = reads(packager, root)
    fresh, _ = reads(Packager(), root)
    assert again.identities == fresh.identities
    assert again.sha == fresh.sha != package.sha


def test_packages_in_the_packaged_directory_come_and_go_without_a_change(root: Path) -> None:
    packager = Packager(root, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    other, was_packed = reads(packager, root, "other")
    assert not was_packed
    assert other.sha == first.sha
    (root / "other.tar.gz").write_text("of the user")
    assert packager.stale_files(first) == ["other.tar.gz"]


def test_a_removed_archive_is_made_again(root: Path, workspace: Path) -> None:
    packager = Packager(workspace, now_ns=in_an_hour_ns)
    first, _ = reads(packager, root)
    first.path.unlink()
    second, was_packed = reads(packager, root)
    assert was_packed
    assert second.path.exists()


def test_discard_removes_archives_that_the_directory_no_longer_matches(root: Path, workspace: Path) -> None:
    packager = Packager(workspace)
    old, _ = reads(packager, root)
    (root / "a.py").write_text("edited")
    new, _ = reads(packager, root)
    for package in (old, old, new):
        packager.discard(package)
    assert [path.name for path in workspace.iterdir()] == [new.path.name]


def test_an_archive_in_the_packaged_directory_is_not_packed(root: Path) -> None:
    inside = root / "packages"
    inside.mkdir()
    packager = Packager(inside)
    first, _ = reads(packager, root)
    (root / "a.py").write_text("edited")
    (inside / "mine.txt").write_text("of the user")
    second, _ = reads(packager, root)
    assert set(second.identities) == {"a.py", "b.py", "packages", "packages/mine.txt"}
    assert packager.stale_files(second) == []
    assert first.path.exists()


def test_a_file_that_disappears_while_packing_is_not_in_the_package(root: Path, workspace: Path) -> None:
    packager = Packager(workspace)
    package = packager.package(root, "app", on_progress=lambda *_: (root / "b.py").unlink(missing_ok=True))
    assert list(package.identities) == ["a.py"]
    assert packager.stale_files(package) == []


def test_threads_that_package_at_once_get_the_same_package(root: Path, workspace: Path) -> None:
    packager = Packager(workspace)
    start = threading.Barrier(8, timeout=10)

    def work(i: int) -> str:
        start.wait()
        return packager.package(root, f"app{i % 2}", PackageOptions()).sha

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(work, range(8)))) == 1
    assert len(list(workspace.iterdir())) == 2


def test_a_workspace_of_its_own_is_removed_by_close(root: Path) -> None:
    packager = Packager()
    package, _ = reads(packager, root)
    directory = package.path.parent
    packager.close()
    packager.close()
    assert not directory.exists()
    Packager().close()


def test_a_workspace_of_its_own_goes_with_the_packager(root: Path) -> None:
    packager = Packager()
    directory = reads(packager, root)[0].path.parent
    del packager
    assert not directory.exists()
