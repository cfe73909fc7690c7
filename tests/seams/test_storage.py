# SPDX-License-Identifier: Apache-2.0
"""Storage: what every place for packages must do, and what a directory does when it cannot."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from flamepy import FlameContext, Runner
from flamepy.errors import FlameErrorCode, InvalidArgument, InvalidConfig, PackageError
from flamepy.packaging import FileStorage, Packager, Storage, open_storage
from flamepy.packaging.writing import cure_for_write
from flamepy.testing import InlineEngine
from tests.projects.hardship import as_ordinary_user, files_limited_to, public_directory

NAME = "app-0123456789ab.tar.gz"


@pytest.fixture
def directory() -> Iterator[Path]:
    with public_directory(suffix=" é 100%") as path:
        yield path


@pytest.fixture
def storage(directory: Path) -> Storage:
    return open_storage(directory.as_uri())


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "archive"
    path.write_bytes(os.urandom(300_000))
    path.chmod(0o600)
    return path


def test_what_is_uploaded_can_be_fetched_by_its_url_until_it_is_deleted(storage: Storage, archive: Path) -> None:
    assert storage.find(NAME) is None
    url = storage.upload(archive, NAME)
    assert storage.find(NAME) == url
    assert url.endswith(f"/{NAME}")
    assert Path(unquote(urlsplit(url).path)).read_bytes() == archive.read_bytes()
    storage.delete(url)
    storage.delete(url)
    assert storage.find(NAME) is None


def test_a_name_that_exists_is_not_uploaded_again(storage: Storage, archive: Path, directory: Path) -> None:
    first = storage.upload(archive, NAME)
    inode = (directory / NAME).stat().st_ino
    assert storage.upload(archive, NAME) == first
    assert (directory / NAME).stat().st_ino == inode


def test_workers_of_other_users_can_read_a_package(storage: Storage, archive: Path, directory: Path) -> None:
    umask = os.umask(0o022)
    try:
        storage.upload(archive, NAME)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((directory / NAME).stat().st_mode) == 0o644


def test_uploads_of_one_name_at_once_leave_one_whole_file(storage: Storage, archive: Path, directory: Path) -> None:
    start = threading.Barrier(8, timeout=10)

    def upload(_: int) -> str:
        start.wait()
        return storage.upload(archive, NAME)

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(upload, range(8)))) == 1
    assert [path.name for path in directory.iterdir()] == [NAME]
    assert (directory / NAME).read_bytes() == archive.read_bytes()


def test_a_missing_directory_is_a_configuration_error(tmp_path: Path, archive: Path) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(InvalidConfig, match=f"Storage directory does not exist: {missing}") as caught:
        open_storage(missing.as_uri()).upload(archive, NAME)
    assert caught.value.code is FlameErrorCode.INVALID_CONFIG
    with pytest.raises(InvalidConfig, match="Create it"):
        FileStorage(archive).find(NAME)


def test_a_read_only_directory_is_an_error_with_a_cure(storage: Storage, archive: Path, directory: Path) -> None:
    url = storage.upload(archive, "other")
    directory.chmod(0o555)
    archive.chmod(0o644)
    public = directory / "other"
    with as_ordinary_user():
        with pytest.raises(PackageError, match=r"cannot write into storage directory .*right to write there"):
            storage.upload(public, NAME)
        with pytest.raises(PackageError, match="cannot delete from storage directory"):
            storage.delete(url)


def test_a_full_directory_is_an_error_and_keeps_no_part(storage: Storage, archive: Path, directory: Path) -> None:
    with (
        files_limited_to(100_000),
        pytest.raises(PackageError, match=r"\(293\.0 KiB needed\)\. It is full: delete old packages") as caught,
    ):
        storage.upload(archive, NAME)
    assert isinstance(caught.value.__cause__, OSError)
    assert list(directory.iterdir()) == []
    storage.upload(archive, NAME)


@pytest.mark.parametrize(
    ("code", "cure"),
    [
        (errno.ENOSPC, "It is full"),
        (errno.EDQUOT, "It is full"),
        (errno.EROFS, "right to write"),
        (errno.EACCES, "right to write"),
        (errno.EIO, "healthy"),
        (None, "healthy"),
    ],
)
def test_the_cure_fits_the_reason(code: int | None, cure: str) -> None:
    assert cure in cure_for_write(code)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("grpc://host:9090", "Unsupported storage scheme: grpc"),
        ("fil:///opt/packages", "Did you mean 'file'?"),
        ("/opt/packages", "Unsupported storage scheme: '/opt/packages'"),
        ("file://opt/packages", "write file:///opt/packages with three slashes"),
        ("file:packages", "names no directory"),
        ("file://", "names no directory"),
    ],
)
def test_a_storage_that_we_do_not_know_is_a_configuration_error(url: str, says: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        open_storage(url)
    assert says in str(caught.value)
    assert "file:///" in str(caught.value)


def test_a_storage_of_unknown_kind_is_told_with_the_file_that_names_it(project: Path) -> None:
    (project / "flame.yaml").write_text(
        "current-context: a\ncontexts: [{name: a, package: {storage: 'fil:///opt/packages'}}]\n"
    )
    with InlineEngine(), pytest.raises(InvalidConfig) as caught:
        Runner("stored", context=FlameContext("flame.yaml"))
    assert str(caught.value).startswith("flame.yaml: Unsupported storage scheme: fil. Did you mean 'file'? Use ")


def test_only_what_lies_in_the_storage_is_deleted(storage: Storage, archive: Path) -> None:
    for url in (archive.as_uri(), "http://somewhere/x"):
        with pytest.raises(InvalidArgument, match="does not lie in"):
            storage.delete(url)
    assert archive.exists()


def test_a_package_is_uploaded_under_its_content_and_again_only_when_it_is_gone(
    storage: Storage, directory: Path, tmp_path: Path
) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "a.py").write_text("one")
    packager = Packager(tmp_path)
    package = packager.package(project, "app", storage=storage)
    assert package.url == (directory / f"app-{package.sha[:12]}.tar.gz").as_uri()
    storage.delete(package.url)
    assert packager.package(project, "app", storage=storage) == package
    assert storage.find(package.path.name) == package.url


def test_a_storage_in_the_project_is_not_packed(tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "packages").mkdir(parents=True)
    (project / "a.py").write_text("one")
    storage = FileStorage(project / "packages")
    packager = Packager(tmp_path)
    first = packager.package(project, "app", storage=storage)
    assert packager.package(project, "app", storage=storage).sha == first.sha
    assert packager.stale_files(first) == []
