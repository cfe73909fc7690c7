# SPDX-License-Identifier: Apache-2.0
"""Files that only the archive has: part of its identity, never of the directory."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from flamepy.errors import PackageError
from flamepy.packaging import Package, PackageOptions, Packager


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    (directory / "lib").mkdir(parents=True)
    (directory / "main.py").write_text("x = 1\n")
    return directory


@pytest.fixture
def packager(tmp_path: Path) -> Packager:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return Packager(workspace)


def content(package: Package, path: str) -> bytes:
    with tarfile.open(package.path) as tar:
        member = tar.extractfile(path)
        assert member is not None
        return member.read()


def test_an_extra_file_is_in_the_archive_and_not_in_the_directory(packager: Packager, root: Path) -> None:
    package = packager.package(root, "app", extra={"cells.py": b"y = 2\n", "lib/more.py": b""})
    assert content(package, "cells.py") == b"y = 2\n"
    assert content(package, "lib/more.py") == b""
    assert (package.files, package.nbytes) == (3, 12)
    assert sorted(path.name for path in root.rglob("*.py")) == ["main.py"]


def test_extra_files_make_another_package_and_no_drift(packager: Packager, root: Path) -> None:
    plain = packager.package(root, "app")
    first = packager.package(root, "app", extra={"cells.py": b"1"})
    second = packager.package(root, "app", extra={"cells.py": b"2"})
    assert len({plain.sha, first.sha, second.sha}) == 3
    assert packager.stale_files(first) == []
    (root / "main.py").write_text("x = 2\n")
    assert packager.stale_files(first) == ["main.py"]
    assert packager.package(root, "app", extra={"cells.py": b"2"}).sha != second.sha


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("main.py", "would hide a file"),
        ("lib", "would hide a file"),
        ("main.py/more.py", "would hide a file"),
        ("../out.py", "give a path below the package"),
        ("/abs.py", "give a path below the package"),
        ("", "give a path below the package"),
    ],
)
def test_an_extra_file_hides_nothing_and_stays_inside(packager: Packager, root: Path, path: str, said: str) -> None:
    with pytest.raises(PackageError, match=said):
        packager.package(root, "app", extra={path: b""})


def test_extra_files_count_towards_the_limit(packager: Packager, root: Path) -> None:
    with pytest.raises(PackageError, match=r"big\.py"):
        packager.package(root, "app", PackageOptions(max_bytes=100), extra={"big.py": b"#" * 200})
