# SPDX-License-Identifier: Apache-2.0
"""What is in an archive, and that the same project gives the same bytes."""

from __future__ import annotations

import os
import signal
import socket
import stat
import tarfile
from pathlib import Path

import pytest

from flamepy.errors import InvalidArgument, PackageError
from flamepy.packaging import Package, PackageOptions, Packager

BIG = 64 * 1024
LINKING = PackageOptions(link_over_bytes=BIG, compresslevel=0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "project"
    directory.mkdir()
    return directory


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    directory = tmp_path / "workspace"
    directory.mkdir()
    return directory


@pytest.fixture
def packager(workspace: Path) -> Packager:
    return Packager(workspace)


def write(path: Path, text: str = "content") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def names(package: Package) -> list[str]:
    with tarfile.open(package.path) as tar:
        return tar.getnames()


def unpacked(package: Package, target: Path) -> Path:
    with tarfile.open(package.path) as tar:
        tar.extractall(target, filter="tar") if hasattr(tarfile, "tar_filter") else tar.extractall(target)
    return target


def test_what_is_packed_is_unpacked_as_it_was(packager: Packager, root: Path, tmp_path: Path) -> None:
    write(root / "main.py", "x = 1\n")
    write(root / "sub dir" / "nämé with spaces.txt", "ü")
    write(root / ("long" * 50) / ("name" * 50), "deep")
    (root / "empty").mkdir()
    (root / "raw").write_bytes(bytes(range(256)) * 1000)
    write(root / "run.sh").chmod(0o700)
    (root / "link").symlink_to("sub dir/nämé with spaces.txt")
    bytes_name = os.fsdecode(b"not-utf8-\xff")
    write(root / bytes_name, "odd")

    copy = unpacked(packager.package(root, "app"), tmp_path / "copy")

    assert (copy / "main.py").read_text() == "x = 1\n"
    assert (copy / "link").read_text() == "ü"
    assert (copy / "link").is_symlink()
    assert (copy / ("long" * 50) / ("name" * 50)).read_text() == "deep"
    assert list((copy / "empty").iterdir()) == []
    assert (copy / "raw").read_bytes() == bytes(range(256)) * 1000
    assert (copy / bytes_name).read_text() == "odd"
    assert stat.S_IMODE((copy / "run.sh").stat().st_mode) == 0o755
    assert stat.S_IMODE((copy / "main.py").stat().st_mode) == 0o644


def test_two_copies_of_a_project_give_the_same_bytes_and_name(packager: Packager, tmp_path: Path) -> None:
    for copy, order in (("one", ["a.py", "b/c.py"]), ("two", ["b/c.py", "a.py"])):
        for name in order:
            write(tmp_path / copy / name, name)
    (tmp_path / "two" / "a.py").chmod(0o600)
    os.utime(tmp_path / "two" / "a.py", (1, 1))
    other = tmp_path / "other workspace"
    other.mkdir()

    first = packager.package(tmp_path / "one", "app")
    second = Packager(other).package(tmp_path / "two", "app")

    assert first.path.name == second.path.name == f"app-{first.sha[:12]}.tar.gz"
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.path.read_bytes()[4:8] == bytes(4)  # the time in gzip's header
    assert (first.files, first.nbytes) == (2, len("a.py") + len("b/c.py"))


def test_the_content_hash_does_not_depend_on_compression(packager: Packager, root: Path) -> None:
    write(root / "a.py")
    assert packager.package(root, "a", PackageOptions(compresslevel=0)).sha == packager.package(root, "b").sha


@pytest.mark.parametrize("change", ["content", "name", "mode", "link", "directory"])
def test_every_change_makes_another_hash(packager: Packager, root: Path, change: str) -> None:
    file = write(root / "a.py")
    (root / "link").symlink_to("a.py")
    before = packager.package(root, "app").sha
    if change == "content":
        file.write_text("CONTENT")
    elif change == "name":
        file.rename(root / "b.py")
    elif change == "mode":
        file.chmod(0o755)
    elif change == "link":
        (root / "link").unlink()
        (root / "link").symlink_to("./a.py")
    else:
        (root / "new").mkdir()
    assert packager.package(root, "app").sha != before


def test_excluded_paths_and_ignore_files_are_not_in_the_archive(packager: Packager, root: Path) -> None:
    for path in (
        "keep.py",
        "a.log",
        "out/x",
        "sub/own.txt",
        "sub/keep.txt",
        "__pycache__/m.pyc",
        "notes.md",
        "lib/dist/x",
    ):
        write(root / path)
    write(root / ".gitignore", "out/\n")
    write(root / "sub" / ".gitignore", "own.txt\n")
    write(root / ".flameignore", "notes.md\n")
    package = packager.package(root, "app", PackageOptions(excludes=("*.log",)))
    assert names(package) == ["keep.py", "lib", "lib/dist", "lib/dist/x", "sub", "sub/keep.txt"]


def test_an_include_reaches_into_an_excluded_directory(packager: Packager, root: Path) -> None:
    for path in ("out/model.bin", "out/log", "a.py", "lesson.ipynb"):
        write(root / path)
    write(root / ".gitignore", "out/\n")
    package = packager.package(root, "app", PackageOptions(includes=("out/model.bin", "*.ipynb")))
    assert names(package) == ["a.py", "lesson.ipynb", "out/model.bin"]


def test_a_dry_run_says_why_and_does_not_enter_what_is_left_out(
    packager: Packager, root: Path, workspace: Path
) -> None:
    for path in ("a.py", "b.log", ".venv/lib/x", "sub/c.txt"):
        write(root / path, "12345")
    os.mkfifo(root / "pipe")
    rows = packager.dry_run(root, PackageOptions(excludes=("*.log",), max_bytes=1))
    assert [(row.path, row.size_bytes, row.is_included, row.rule) for row in rows] == [
        (".venv/", None, False, "built-in .venv"),
        ("a.py", 5, True, ""),
        ("b.log", 5, False, "exclude *.log"),
        ("pipe", 0, False, "a socket, pipe or device"),
        ("sub/", None, True, ""),
        ("sub/c.txt", 5, True, ""),
    ]
    assert list(workspace.iterdir()) == []


def test_big_files_are_linked_on_this_machine_and_do_not_count(packager: Packager, root: Path, tmp_path: Path) -> None:
    big = root / "big.bin"
    big.write_bytes(b"x" * (BIG + 1))
    write(root / "small.py")
    options = PackageOptions(link_over_bytes=BIG, max_bytes=BIG, compresslevel=0)
    package = packager.package(root, "app", options)
    assert package.linked == ("big.bin",)
    assert package.nbytes == len("content")
    assert package.path.stat().st_size < BIG
    assert (unpacked(package, tmp_path / "copy") / "big.bin").read_bytes() == big.read_bytes()
    big.write_bytes(b"y" * (BIG + 1))
    assert packager.stale_files(package) == ["big.bin"]
    with pytest.raises(PackageError, match=r"big\.bin"):
        packager.package(root, "app", PackageOptions(max_bytes=BIG))


def test_a_package_for_a_cluster_brings_our_own_worker_along(packager: Packager, root: Path) -> None:
    write(root / "main.py")
    package = packager.package(root, "my-app", PackageOptions.for_cluster())
    brought = [name for name in names(package) if name.startswith(".flame/flamepy/")]
    assert names(package) == [*brought, "main.py"]
    assert {".flame/flamepy/__init__.py", ".flame/flamepy/instance/launch.sh"} <= set(brought)
    assert packager.stale_files(package) == []
    assert not (root / ".flame").exists()


def test_links_that_stay_inside_are_links_and_those_that_leave_are_what_they_point_to(
    packager: Packager, root: Path, tmp_path: Path
) -> None:
    write(root / "sub" / "a.txt", "inside")
    outside = write(tmp_path / "lib" / "code.py", "outside")
    (root / "absolute").symlink_to(root / "sub" / "a.txt")
    (root / "by its own name").symlink_to(f"../{root.name}/sub")
    (root / "file").symlink_to(outside)
    (root / "directory").symlink_to("../lib")
    (root / "nowhere").symlink_to("missing")
    (tmp_path / "lib" / "deep").mkdir()
    (tmp_path / "lib" / "deep" / "home").symlink_to(f"../../{root.name}/sub/a.txt")

    package = packager.package(root, "app")
    copy = unpacked(package, tmp_path / "copy" / "deep")

    assert os.readlink(copy / "absolute") == "sub/a.txt"
    assert (copy / "by its own name" / "a.txt").read_text() == "inside"
    assert os.readlink(copy / "nowhere") == "missing"
    assert (copy / "directory" / "deep" / "home").read_text() == "inside"
    assert not (copy / "file").is_symlink()
    assert (copy / "file").read_text() == (copy / "directory" / "code.py").read_text() == "outside"
    outside.write_text("edited")
    assert packager.stale_files(package) == ["directory/code.py", "file"]


def test_link_loops_end(packager: Packager, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write(outside / "x.txt")
    (root / "here").symlink_to(".")
    (root / "up").symlink_to("..")
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "out").symlink_to(outside)
    (outside / "again").symlink_to(outside)
    (outside / "back").symlink_to(root)
    other = tmp_path / "other"
    other.mkdir()
    (outside / "other").symlink_to(other)
    (other / "outside").symlink_to(outside)

    package = packager.package(root, "app")

    assert names(package) == ["a", "b", "here", "out", "out/back", "out/other", "out/x.txt"]
    assert sorted(package.notes) == [
        "out/again is left out: a link to a directory that holds it",
        "out/other/outside is left out: a link to a directory that holds it",
        "up is left out: a link to a directory that holds it",
    ]
    assert os.readlink(unpacked(package, tmp_path / "copy") / "out" / "back") == ".."


def test_sockets_and_pipes_are_left_out_with_a_note(
    packager: Packager, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)  # the path of a socket must be short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        package = packager.package(root, "app")
    assert names(package) == []
    assert sorted(package.notes) == [f"{name} is left out: a socket, pipe or device" for name in ("pipe", "socket")]


def test_an_interrupt_while_packing_leaves_nothing_and_the_next_attempt_works(
    packager: Packager, root: Path, workspace: Path
) -> None:
    for i in range(20):
        write(root / f"{i}.py")

    def press_ctrl_c(files: int, _nbytes: int) -> None:
        if files == 10:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        packager.package(root, "app", on_progress=press_ctrl_c)
    assert list(workspace.iterdir()) == []
    assert packager.package(root, "app").files == 20


def test_progress_counts_files_and_bytes(packager: Packager, root: Path) -> None:
    write(root / "a", "12")
    write(root / "b" / "c", "345")
    seen: list[tuple[int, int]] = []
    packager.package(root, "app", on_progress=lambda files, nbytes: seen.append((files, nbytes)))
    packager.package(root, "app", on_progress=lambda files, nbytes: seen.append((files, nbytes)))
    assert seen == [(1, 2), (2, 5)]


def test_an_empty_directory_is_a_package(packager: Packager, root: Path) -> None:
    package = packager.package(root, "app")
    assert (package.files, names(package)) == (0, [])


@pytest.mark.parametrize("name", ["", "a/b", "..", "with space"])
def test_a_name_that_cannot_be_a_file_is_refused(packager: Packager, root: Path, name: str) -> None:
    with pytest.raises(InvalidArgument):
        packager.package(root, name)
