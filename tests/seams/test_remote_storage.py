# SPDX-License-Identifier: Apache-2.0
"""Storages behind a network: what each does, on a real HTTP server, a WebDAV-like one, a real S3 API, and fsspec's."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem

from flamepy import FlameContext, FlamePackage, Runner
from flamepy.engine.local.engine import EmbeddedEngine
from flamepy.errors import InvalidArgument, InvalidConfig, NotFound, PackageError
from flamepy.packaging import Package, PackageOptions, Packager, Storage, fetch_archive, open_storage
from flamepy.protocol.app_directory import make_directory, unpack_once
from tests.projects.storage_servers import S3_BUCKET, http_server, s3_server, use_s3

NAME = "app-0123456789ab.tar.gz"


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    with s3_server() as url:
        yield url


class Drive(LocalFileSystem):
    """What a package that extends fsspec brings: files appear in it before they are whole."""

    protocol = "drive"
    root = ""

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return cls.root + path.removeprefix("drive://host") if path.startswith("drive:") else path


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[str]:
    Drive.root = str(tmp_path / "drive")
    (tmp_path / "drive" / "packages").mkdir(parents=True)
    fsspec.register_implementation("drive", Drive, clobber=True)
    yield "drive://host/packages"
    assert list((tmp_path / "drive" / "packages").iterdir()) == [], "a part of an upload is left"


@pytest.fixture(params=["http", "webdav", "s3", "memory", "drive"])
def url(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    if request.param == "s3":
        use_s3(monkeypatch, request.getfixturevalue("s3_url"), tmp_path)
        yield f"s3://{S3_BUCKET}/{tmp_path.name}"
    elif request.param == "drive":
        yield request.getfixturevalue("drive")
    elif request.param == "memory":
        yield f"memory://{tmp_path.name}/packages"
    else:
        with http_server(moves=request.param == "webdav") as server:
            yield server.url
            assert not server.files, "a part of an upload is left"


@pytest.fixture
def storage(url: str) -> Storage:
    return open_storage(url)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "package").mkdir(parents=True)
    (root / "package" / "module.py").write_text("NAME = 'one'")
    (root / "run.sh").write_text("#!/bin/sh")
    (root / "run.sh").chmod(0o755)
    (root / "link é").symlink_to("package/module.py")
    return root


@pytest.fixture
def pack(storage: Storage, root: Path, tmp_path: Path) -> Callable[[], Package]:
    """Packs the project as another process would: nothing is remembered."""
    count = iter(range(9))

    def pack() -> Package:
        workspace = tmp_path / f"workspace {next(count)}"
        workspace.mkdir()
        options = PackageOptions(link_over_bytes=1000)
        return Packager(workspace).package(root, "app", options, storage=storage, extra={"more é.py": b"more"})

    return pack


def test_what_is_uploaded_is_there_until_it_is_deleted(storage: Storage, root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(os.urandom(300_000))
    assert storage.find("plain.tar.gz") is None
    sent: list[int] = []
    url = storage.upload(archive, "plain.tar.gz", sent.append)
    assert sent[-1] == 300_000
    assert storage.find("plain.tar.gz") == url
    assert fetch_archive(url, tmp_path / "fetched").read_bytes() == archive.read_bytes()
    storage.delete(url, is_last=False)
    assert storage.find("plain.tar.gz") == url, "others use it"
    storage.delete(url)
    storage.delete(url)
    assert storage.find("plain.tar.gz") is None
    with pytest.raises(NotFound, match=r"cannot fetch plain\.tar\.gz from .* open the Runner again"):
        fetch_archive(url, tmp_path / "again")
    assert list((tmp_path / "again").iterdir()) == []


def test_an_unchanged_package_is_neither_compressed_nor_uploaded_again(
    storage: Storage, pack: Callable[[], Package]
) -> None:
    first, second = pack(), pack()
    assert (first.is_new, second.is_new) == (True, False)
    assert (second.url, second.sha) == (first.url, first.sha)
    assert first.path.exists()
    assert not second.path.exists()
    storage.delete(first.url)
    assert pack().is_new
    storage.delete(first.url)


@pytest.mark.parametrize("url", ["webdav", "drive"], indirect=True)
def test_two_versions_lie_side_by_side_and_none_is_overwritten(
    storage: Storage, pack: Callable[[], Package], root: Path, tmp_path: Path
) -> None:
    first = pack()
    (root / "package" / "module.py").write_text("NAME = 'two'")
    (root / "big.bin").write_bytes(bytes(2000))
    second = pack()
    assert second.url != first.url
    assert second.linked == ("big.bin",)
    fetched = [fetch_archive(each.url, tmp_path / "fetched") for each in (first, second)]
    unpacked = [Path(make_directory(str(tmp_path), "app")) for _ in fetched]
    for archive, directory in zip(fetched, unpacked, strict=True):
        unpack_once(str(archive), str(directory), "app")
    assert [(each / "package" / "module.py").read_text() for each in unpacked] == ["NAME = 'one'", "NAME = 'two'"]
    assert (unpacked[1] / "more é.py").read_bytes() == b"more"
    storage.delete(first.url)
    assert storage.find(second.path.name) == second.url
    storage.delete(second.url)


@pytest.mark.parametrize("url", ["http"], indirect=True)
def test_an_archive_that_is_not_what_its_name_says_is_refused(
    storage: Storage, pack: Callable[[], Package], root: Path, tmp_path: Path
) -> None:
    whole = pack()
    storage.delete(whole.url)
    half = tmp_path / "half"
    half.write_bytes(whole.path.read_bytes()[:200])
    (root / "package" / "module.py").write_text("NAME = 'two'")
    other = pack()
    for archive in (half, other.path):
        url = storage.upload(archive, whole.path.name)
        with pytest.raises(InvalidArgument, match=r"is not what its name says: .* Delete it there"):
            fetch_archive(url, tmp_path / "fetched")
        assert list((tmp_path / "fetched").iterdir()) == []
        storage.delete(url)
    storage.delete(other.url)


def test_a_place_that_is_not_there_is_not_made(drive: str, tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(b"content")
    with pytest.raises(InvalidConfig, match=r"the place does not exist.*Create it"):
        open_storage("drive://host/missing").upload(archive, NAME)
    assert not (tmp_path / "drive" / "missing").exists()


@pytest.mark.parametrize("url", ["s3"], indirect=True)
def test_workers_run_what_lies_in_s3(url: str, embedded: EmbeddedEngine, project: Path) -> None:
    (project / "module.py").write_text("NAME = 'one'")
    with Runner("remote", context=FlameContext(package=FlamePackage(storage=url))) as runner:
        assert runner.service(lambda: str(importlib.import_module("module").NAME))().get() == "one"


def test_s3_tells_of_a_missing_bucket_and_of_missing_credentials(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    archive.write_bytes(b"content")
    use_s3(monkeypatch, s3_url, tmp_path)
    with pytest.raises(InvalidConfig, match=r"s3://nobody: the place does not exist .*bucket.*Create it"):
        open_storage("s3://nobody").upload(archive, NAME)
    use_s3(monkeypatch, s3_url, tmp_path, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    with pytest.raises(PackageError, match=r"wants credentials, and none were found .*aws configure"):
        open_storage("s3://packages").upload(archive, NAME)


@pytest.mark.parametrize("url", ["memory"], indirect=True)
def test_a_url_of_another_place_is_not_deleted(storage: Storage) -> None:
    for url in (f"s3://other/{NAME}", f"{storage}/below/{NAME}", str(storage)):
        with pytest.raises(InvalidArgument, match="does not lie in"):
            storage.delete(url)
