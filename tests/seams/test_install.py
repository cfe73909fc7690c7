# SPDX-License-Identifier: Apache-2.0
"""Directories that packages are unpacked into: one for each application, used again only when nobody changed them."""

from __future__ import annotations

import fcntl
import os
import random
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from flamepy.engine.local.apps.installer import AT_ONCE_BYTES, KEPT_DIRECTORIES, Installer
from flamepy.errors import FlameError, InvalidArgument, NotFound
from flamepy.protocol.app_directory import (
    give_up_directory,
    is_complete,
    is_untouched,
    make_directory,
    remove_directory,
    restore_directory,
    unpack_once,
)
from tests.projects.hardship import as_ordinary_user, public_directory


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    return Installer(str(tmp_path / "apps"), unpack_once)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return make_archive(tmp_path, "one")


def make_archive(directory: Path, name: str) -> str:
    content = directory / name
    (content / "package").mkdir(parents=True)
    (content / "package" / "module.py").write_text(f"NAME = {name!r}")
    (content / "data.txt").write_text("data")
    (content / "link").symlink_to("data.txt")
    return make_archive_of(content, directory / f"{name}.tar.gz")


def make_archive_of(content: Path, path: Path) -> str:
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, arcname=".")
    return path.as_uri()


def archive_of(url: str) -> str:
    return url.removeprefix("file://")


def test_two_applications_of_one_package_have_directories_of_their_own(installer: Installer, url: str) -> None:
    first, second = installer.install(url, "app"), installer.install(url, "app")
    assert first != second
    assert (Path(first) / "package" / "module.py").read_text() == "NAME = 'one'"


def test_a_directory_that_comes_back_unchanged_is_used_again(installer: Installer, url: str) -> None:
    root = installer.install(url, "app")
    (Path(root) / "package" / "__pycache__").mkdir()  # Python does so when a worker imports the package
    assert installer.give_back(root) == []
    assert installer.install(url, "other") == root


def rewrite(root: Path) -> None:
    (root / "data.txt").write_text("DATA")


def rewrite_and_set_the_time_back(root: Path) -> None:
    before = (root / "data.txt").stat()
    rewrite(root)
    os.utime(root / "data.txt", ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: list[Callable[[Path], object]] = [
    rewrite,
    rewrite_and_set_the_time_back,
    lambda root: (root / "out.csv").touch(),
    lambda root: (root / "data.txt").unlink(),
    lambda root: (root / "data.txt").chmod(0o600),
    lambda root: (root / "package" / "new").mkdir(),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_directory_that_calls_have_written_into_is_not(
    installer: Installer, url: str, change: Callable[[Path], object]
) -> None:
    root = installer.install(url, "app")
    change(Path(root))
    installer.give_back(root)
    fresh = installer.install(url, "app")
    assert fresh != root
    assert (Path(fresh) / "data.txt").read_text() == "data"
    assert not os.path.exists(root)


def test_another_package_never_gets_it(installer: Installer, url: str, tmp_path: Path) -> None:
    root = installer.install(url, "app")
    installer.give_back(root)
    other = installer.install(make_archive(tmp_path, "two"), "app")
    assert other != root
    assert (Path(other) / "package" / "module.py").read_text() == "NAME = 'two'"


def test_only_a_few_directories_are_kept(installer: Installer, url: str) -> None:
    roots = [installer.install(url, "app") for _ in range(KEPT_DIRECTORIES + 2)]
    assert [installer.give_back(root) for root in roots] == [[]] * KEPT_DIRECTORIES + [[roots[0]], [roots[1]]]


def test_a_directory_without_a_package_is_removed_when_it_comes_back(installer: Installer) -> None:
    root = installer.install(None, "app")
    assert os.listdir(root) == []
    assert installer.give_back(root) == [root]


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("file:///nowhere/app.tar.gz", NotFound, "not found"),
        ("grpc://host/app.tar.gz", InvalidArgument, "use one of file"),
    ],
)
def test_what_cannot_be_unpacked_is_named_and_leaves_nothing(
    installer: Installer, tmp_path: Path, url: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        installer.install(url, "app")
    assert list((tmp_path / "apps").glob("*")) == []


def test_an_archive_that_is_none_is_named(installer: Installer, tmp_path: Path) -> None:
    (tmp_path / "broken.tar.gz").write_text("no archive")
    with pytest.raises(InvalidArgument, match="not a readable tar archive"):
        installer.install((tmp_path / "broken.tar.gz").as_uri(), "app")


# --- big packages, which are unpacked behind


@pytest.fixture
def big_url(tmp_path: Path) -> str:
    content = tmp_path / "big"
    content.mkdir()
    (content / "noise.bin").write_bytes(random.Random(1).randbytes(AT_ONCE_BYTES + 1))
    return make_archive_of(content, tmp_path / "big.tar.gz")


@pytest.fixture
def directory(tmp_path: Path) -> str:
    return make_directory(str(tmp_path / "apps"), "app")


def test_a_big_package_is_left_to_others(tmp_path: Path, big_url: str) -> None:
    asked: list[tuple[str, str, str]] = []
    installer = Installer(str(tmp_path / "apps"), lambda *told: asked.append(told))
    root = installer.install(big_url, "app")
    assert asked == [(str(tmp_path / "big.tar.gz"), root, "app")]
    assert os.listdir(root) == []
    assert not is_complete(root)
    unpack_once(*asked[0])
    assert os.path.getsize(os.path.join(root, "noise.bin")) == AT_ONCE_BYTES + 1
    assert installer.give_back(root) == []
    assert installer.install(big_url, "other") == root


def test_a_directory_that_is_not_complete_is_not_kept(tmp_path: Path, big_url: str) -> None:
    installer = Installer(str(tmp_path / "apps"), lambda *_: None)
    root = installer.install(big_url, "app")
    assert installer.give_back(root) == [root]


def test_who_needs_the_files_waits_for_who_unpacks_them(directory: str, url: str) -> None:
    with ThreadPoolExecutor() as pool, open(directory + ".state", "r+b") as state:
        fcntl.flock(state, fcntl.LOCK_EX)
        waiting = pool.submit(unpack_once, archive_of(url), directory, "app")
        Path(directory, "data.txt").write_text("of the other")
        state.write(b"complete")
        state.flush()
        assert not waiting.done()
        fcntl.flock(state, fcntl.LOCK_UN)
        waiting.result(timeout=10)
    assert os.listdir(directory) == ["data.txt"]


def test_what_somebody_left_half_done_is_done(directory: str, url: str) -> None:
    Path(directory, "data.txt").write_text("da")
    Path(directory, "link").symlink_to("data.txt")
    unpack_once(archive_of(url), directory, "app")
    assert Path(directory, "data.txt").read_text() == "data"
    assert is_complete(directory)
    assert is_untouched(directory)


def test_what_a_killed_process_has_unpacked_cannot_be_in_the_way(tmp_path: Path) -> None:
    """Files that cannot be written could not be written again; only root may."""
    content = tmp_path / "read-only"
    (content / "inner").mkdir(parents=True)
    (content / "inner" / "data.txt").write_text("whole")
    (content / "inner" / "data.txt").chmod(0o444)
    (content / "inner").chmod(0o555)
    url = make_archive_of(content, tmp_path / "read-only.tar.gz")
    with public_directory() as public:
        archive = public / "package.tar.gz"
        archive.write_bytes(Path(archive_of(url)).read_bytes())
        public.chmod(0o777)
        archive.chmod(0o644)
        with as_ordinary_user():
            directory = make_directory(str(public / "apps"), "app")
            with tarfile.open(archive) as tar:  # all of it, but it was killed before it could say so
                tar.extractall(directory, filter="fully_trusted")
            unpack_once(str(archive), directory, "app")
            assert (Path(directory) / "inner" / "data.txt").read_text() == "whole"
            assert is_complete(directory)
            remove_directory(directory)
            assert not Path(directory).exists()


def test_who_waits_for_files_that_nobody_wants_any_more_is_told(directory: str, url: str) -> None:
    with ThreadPoolExecutor() as pool, open(directory + ".state", "r+b") as state:
        fcntl.flock(state, fcntl.LOCK_EX)
        waiting = pool.submit(unpack_once, archive_of(url), directory, "app")
        give_up_directory(directory)
        fcntl.flock(state, fcntl.LOCK_UN)
        with pytest.raises(FlameError, match="cannot unpack the files of app for its workers"):
            waiting.result(timeout=10)
    assert os.listdir(directory) == []


def test_an_archive_that_ends_too_early_is_named(tmp_path: Path, directory: str, big_url: str) -> None:
    archive = Path(archive_of(big_url))
    os.truncate(archive, archive.stat().st_size // 2)
    with pytest.raises(InvalidArgument, match="not a readable tar archive"):
        unpack_once(str(archive), directory, "app")
    assert not is_complete(directory)


def test_a_directory_that_was_cleaned_away_is_unpacked_again(directory: str, url: str) -> None:
    unpack_once(archive_of(url), directory, "app")
    remove_directory(directory)
    restore_directory(archive_of(url), directory)
    assert not is_complete(directory)
    unpack_once(archive_of(url), directory, "app")
    assert Path(directory, "data.txt").read_text() == "data"


def test_without_its_package_it_cannot_be(directory: str, url: str) -> None:
    remove_directory(directory)
    os.unlink(archive_of(url))
    with pytest.raises(NotFound, match="their package as well: close the Runner"):
        restore_directory(archive_of(url), directory)
    assert not os.path.exists(directory)
