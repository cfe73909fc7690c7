# SPDX-License-Identifier: Apache-2.0
"""Directories that packages are unpacked into: one for each application, used again only when nobody changed them."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from flamepy.engine.local.apps.installer import KEPT_DIRECTORIES, Installer
from flamepy.errors import InvalidArgument, NotFound


@pytest.fixture
def installer(tmp_path: Path) -> Installer:
    return Installer(str(tmp_path / "apps"))


@pytest.fixture
def url(tmp_path: Path) -> str:
    return make_archive(tmp_path, "one")


def make_archive(directory: Path, name: str) -> str:
    content = directory / name
    (content / "package").mkdir(parents=True)
    (content / "package" / "module.py").write_text(f"NAME = {name!r}")
    (content / "data.txt").write_text("data")
    (content / "link").symlink_to("data.txt")
    path = directory / f"{name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(content, arcname=".")
    return path.as_uri()


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
        ("http://host/app.tar.gz", InvalidArgument, "file:// only"),
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
