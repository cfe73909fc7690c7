# SPDX-License-Identifier: Apache-2.0
"""A package that is too big, and what its error tells."""

from __future__ import annotations

import fnmatch

import pathspec
import pytest

from flamepy.errors import PackageError
from flamepy.packaging.selection.limits import check_size, exclude_line, format_bytes, heaviest, too_many_files
from flamepy.packaging.selection.manifest import Entry, Kind, Stamp


def file(path: str, size_bytes: int, kind: Kind = Kind.FILE) -> Entry:
    return Entry(path, kind, f"/project/{path}", Stamp(size_bytes, 0, 0, 1, 0o100644))


def test_the_error_lists_the_ten_biggest_files_and_the_lines_that_leave_them_out() -> None:
    entries = [file(f"data/part{i}.bin", 10_000 + i) for i in range(12)] + [file("main.py", 10)]
    with pytest.raises(PackageError) as caught:
        check_size(entries, root="/project", max_bytes=50_000)
    lines = str(caught.value).splitlines()
    assert "the limit is 48.8 KiB" in lines[0]
    assert ".flameignore" in lines[0]
    assert [line.split()[-1] for line in lines[1:]] == [f"data/part{i}.bin" for i in range(11, 1, -1)]


def test_many_small_files_are_named_by_their_directories() -> None:
    entries = [file(f"images/{i}.png", 100) for i in range(1000)] + [file("main.py", 10)]
    assert heaviest(entries) == [("images/", 100_000), ("main.py", 10)]


def test_linked_files_do_not_count() -> None:
    check_size([file("huge.bin", 10**12, Kind.LINKED), file("a", 10)], root="/project", max_bytes=10)


def test_a_limit_that_is_just_met_is_met() -> None:
    check_size([file("a", 10)], root="/project", max_bytes=10)
    with pytest.raises(PackageError):
        check_size([file("a", 11)], root="/project", max_bytes=10)


def test_too_many_files_are_counted_by_directory() -> None:
    text = str(too_many_files(["a/1", "a/b/2", "c/3", "top"], root="/project", max_files=3))
    assert "more than 3 files" in text
    assert [line.split() for line in text.splitlines()[1:]] == [["2", "files", "a/"], ["1", "files", "c/"]]


def test_too_many_files_at_the_top_get_another_cure() -> None:
    assert "move the data into a directory of its own" in str(too_many_files(["a", "b"], root="/project", max_files=1))


@pytest.mark.parametrize(
    "path",
    [
        "plain.bin",
        "a/b c/d.bin",
        "x[1].csv",
        "what?.txt",
        "st*r",
        "#sharp",
        "!bang",
        "back\\slash",
        "end ",
        "two\nlines",
        "\udcff",
    ],
)
def test_an_exclude_line_fits_its_path_in_both_languages(path: str) -> None:
    line = exclude_line(path)
    assert fnmatch.fnmatchcase(path, line)
    assert pathspec.GitIgnoreSpec.from_lines([line]).match_file(path)


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (100 << 20, "100.0 MiB"), (3 << 30, "3.0 GiB")],
)
def test_sizes_are_written_for_people(nbytes: int, text: str) -> None:
    assert format_bytes(nbytes) == text
