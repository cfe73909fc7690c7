# SPDX-License-Identifier: Apache-2.0
"""Directories that cannot be packed, or only just: each gets an answer with a cure, in bounded time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flamepy.errors import PackageError
from flamepy.packaging import PackageOptions, Packager
from tests.projects.hardship import as_ordinary_user, files_limited_to, public_directory


@pytest.fixture
def root() -> Iterator[Path]:
    with public_directory() as directory:
        yield directory


@pytest.fixture
def public_workspace() -> Iterator[Path]:
    with public_directory() as directory:
        directory.chmod(0o777)
        yield directory


@pytest.fixture
def packager(tmp_path: Path) -> Packager:
    return Packager(tmp_path)


@pytest.mark.parametrize("unreadable", ["secret.txt", "locked/", ".gitignore"])
def test_what_cannot_be_read_is_named_with_the_line_that_leaves_it_out(
    root: Path, public_workspace: Path, unreadable: str
) -> None:
    (root / "ok.py").write_text("x")
    path = root / unreadable
    path.mkdir() if unreadable.endswith("/") else path.write_text("x")
    path.chmod(0)
    with as_ordinary_user(), pytest.raises(PackageError) as caught:
        Packager(public_workspace).package(root, "app")
    assert list(public_workspace.iterdir()) == []
    assert f"cannot read {unreadable}: Permission denied" in str(caught.value)
    assert f"add the line {unreadable!r} to .flameignore" in str(caught.value)
    assert isinstance(caught.value.__cause__, PermissionError)


def test_an_unreadable_directory_that_is_left_out_does_no_harm(root: Path, public_workspace: Path) -> None:
    (root / "ok.py").write_text("x")
    (root / "locked").mkdir()
    (root / "locked").chmod(0)
    (root / ".flameignore").write_text("locked/\n")
    with as_ordinary_user():
        assert Packager(public_workspace).package(root, "app").files == 1


def test_a_missing_directory_is_an_error_with_a_cure(packager: Packager, tmp_path: Path) -> None:
    for missing in (tmp_path / "missing", Path(__file__)):
        with pytest.raises(PackageError, match=r"does not exist: .*Start in the project's directory"):
            packager.package(missing, "app")


def test_a_package_that_is_too_big_is_refused_before_anything_is_read(
    packager: Packager, root: Path, public_workspace: Path
) -> None:
    with open(root / "big [1].bin", "wb") as file:
        file.truncate(200 << 20)  # a hole: takes no space
    (root / "big [1].bin").chmod(0)
    with (
        as_ordinary_user(),
        pytest.raises(PackageError, match=r"would hold 200\.0 MiB, the limit is 100\.0 MiB") as caught,
    ):
        Packager(public_workspace).package(root, "app")
    (root / ".flameignore").write_text(str(caught.value).splitlines()[-1].split("MiB ")[1].strip())
    assert packager.package(root, "app").files == 0


def test_fifty_thousand_files_are_packed(packager: Packager, root: Path) -> None:
    (root / "0").mkdir()
    (root / "0" / "first").write_text("x")
    for i in range(1, 50_000):
        if i % 1000 == 0:
            (root / str(i // 1000)).mkdir()
        os.link(root / "0" / "first", root / str(i // 1000) / str(i))
    package = packager.package(root, "app", PackageOptions.for_this_machine())
    assert package.files == 50_000


def test_too_many_files_are_refused_while_walking(packager: Packager, root: Path) -> None:
    (root / "data").mkdir()
    for i in range(30):
        (root / "data" / str(i)).touch()
    with pytest.raises(PackageError, match="would hold more than 20 files") as caught:
        packager.package(root, "app", PackageOptions(max_files=20))
    assert str(caught.value).splitlines()[-1].split() == ["20", "files", "data/"]
    assert packager.package(root, "app", PackageOptions(max_files=30)).files == 30


def test_a_full_workspace_is_an_error_and_leaves_nothing(root: Path, tmp_path: Path) -> None:
    (root / "noise").write_bytes(os.urandom(300_000))
    packager = Packager(tmp_path)
    with files_limited_to(100_000), pytest.raises(PackageError, match="It is full: delete old packages") as caught:
        packager.package(root, "app")
    assert str(tmp_path) in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    assert packager.package(root, "app").files == 1
