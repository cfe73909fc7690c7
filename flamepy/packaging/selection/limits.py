# SPDX-License-Identifier: Apache-2.0
"""How much a package may hold, and what to say when it is too much. Pure: entries in, an error with its cure out."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from flamepy.core.descriptors import lacks_descriptors, too_few_descriptors
from flamepy.errors import PackageError
from flamepy.packaging.selection.manifest import Entry, Kind

SHOWN_PATHS = 10
WHERE = "to .flameignore in the project's directory, or to package.excludes in flame.yaml"


def check_size(entries: Sequence[Entry], *, root: str, max_bytes: int) -> None:
    """Raises PackageError with the ten biggest paths and the lines that leave them out."""
    total = sum([entry.stamp.size_bytes for entry in entries if entry.kind is Kind.FILE])
    if total > max_bytes:
        rows = [(exclude_line(path), format_bytes(nbytes)) for path, nbytes in heaviest(entries)]
        raise PackageError(
            f"the package of {shown(root)} would hold {format_bytes(total)}, the limit is {format_bytes(max_bytes)}. "
            f"Leave out what workers do not need: add lines of the following {WHERE}.\n{_table(rows)}"
        )


def check_extra(extra: Collection[str], entries: Iterable[Entry], *, root: str) -> None:
    """Raises PackageError when a path of ``extra`` leads out of the package, or is taken."""
    if not extra:
        return
    kinds = {entry.path: entry.kind for entry in entries}
    taken_below = {path for path, kind in kinds.items() if kind is not Kind.DIRECTORY}.union(extra)
    for path in extra:
        parts = path.split("/")
        if not set(parts).isdisjoint(("", ".", "..")):
            raise PackageError(f"extra file {path!r}: give a path below the package, with '/', such as 'lib/more.py'.")
        above = ("/".join(parts[:length]) for length in range(1, len(parts)))
        if path in kinds or any(each in taken_below for each in above):
            raise PackageError(f"extra file {path!r} would hide a file of {shown(root)}: choose another name for it.")


def too_many_files(paths: Iterable[str], *, root: str, max_files: int) -> PackageError:
    """The error for a walk that stopped at ``max_files``: the fullest directories of those seen, as lines to add."""
    counts = Counter(path.partition("/")[0] + "/" for path in paths if "/" in path)
    rows = [(exclude_line(path), f"{count} files") for path, count in counts.most_common(SHOWN_PATHS)]
    cure = (
        f"add lines of the following {WHERE}.\n{_table(rows)}" if rows else "move the data into a directory of its own."
    )
    return PackageError(
        f"the package of {shown(root)} would hold more than {max_files} files. "
        f"Start in the project's own directory, or {cure}"
    )


def heaviest(entries: Sequence[Entry], count: int = SHOWN_PATHS) -> list[tuple[str, int]]:
    """The biggest files; or, when these are less than half of it all, the biggest directories at the top."""
    sizes = {entry.path: entry.counted_bytes for entry in entries if entry.counted_bytes}
    files = Counter(sizes).most_common(count)
    if 2 * sum(size for _, size in files) >= sum(sizes.values()):
        return files
    directories: Counter[str] = Counter()
    for path, size in sizes.items():
        top, slash, _ = path.partition("/")
        directories[top + slash] += size
    return directories.most_common(count)


def exclude_line(path: str) -> str:
    """A line that leaves out ``path``, in git's language and in fnmatch's: special characters become "?"."""
    line = "".join("?" if character in "*?[\\" or not character.isprintable() else character for character in path)
    if line.startswith(("#", "!")):
        line = "?" + line[1:]
    return line[:-1] + "?" if line.endswith(" ") else line


def unreadable(path: str, error: OSError) -> PackageError:
    """The error for something that cannot be read."""
    if lacks_descriptors(error):
        return PackageError(str(too_few_descriptors(f"cannot read {shown(path)}")))
    return PackageError(
        f"cannot read {shown(path)}: {error.strerror or error}. "
        f"Make it readable, or leave it out: add the line {exclude_line(path)!r} {WHERE}."
    )


def shown(path: str) -> str:
    """The path for a message: bytes that are no UTF-8, which a terminal would choke on, as escapes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def format_bytes(nbytes: int) -> str:
    """1536 -> "1.5 KiB"."""
    size = float(nbytes)
    for unit in ("bytes", "KiB", "MiB"):
        if size < 1024:
            return f"{nbytes} bytes" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def _table(rows: Sequence[tuple[str, str]]) -> str:
    # the line comes last: ignore files know no comment behind a pattern
    width = max((len(amount) for _, amount in rows), default=0)
    return "\n".join(f"  {amount:>{width}}  {line}" for line, amount in rows)
