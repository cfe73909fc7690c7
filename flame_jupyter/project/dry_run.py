# SPDX-License-Identifier: Apache-2.0
"""``%flame_runner package --dry-run``: what a package would hold, and the rule that keeps each other path out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from flame_jupyter.tables import table_html, table_text
from flame_jupyter.wording import size_text

if TYPE_CHECKING:
    from flamepy.packaging import Row

MAX_SHOWN = 200  # rows; a longer list is nothing to read, the totals say the rest
_BIGGEST = 10
_COLUMNS = ("path", "size", "")


@dataclass(frozen=True)
class DryRun:
    """root: the directory, source: what named it; rows: files and what is left out, sorted by path."""

    root: str
    source: str
    rows: tuple[Row, ...]

    @property
    def files(self) -> int:
        return sum(row.is_included and not row.path.endswith("/") for row in self.rows)

    @property
    def nbytes(self) -> int:
        return sum(_counted_bytes(row) for row in self.rows)

    def with_exported(self, files: Mapping[str, bytes]) -> DryRun:
        """The same with the modules that exported cells become."""
        from flamepy.packaging import Row

        rows = [Row(path, len(content), True, "exported cells") for path, content in files.items()]
        return replace(self, rows=tuple(sorted((*self.rows, *rows), key=lambda row: row.path)))

    def summary(self) -> str:
        excluded = sum(not row.is_included for row in self.rows)
        plural = "" if self.files == 1 else "s"
        return (
            f"{self.root} (from the {self.source}): {self.files} file{plural}, {size_text(self.nbytes)}; "
            f"left out: {excluded}"
        )

    def over_limit(self, limit_bytes: int) -> str:
        """The error when it is too big: the biggest paths, and the options that leave them out."""
        biggest = [row for row in sorted(self.rows, key=_counted_bytes, reverse=True)[:_BIGGEST] if _counted_bytes(row)]
        lines = [f"  {size_text(_counted_bytes(row)):>8}  {row.path}" for row in biggest]
        cure = " ".join(f"--exclude {row.path!r}" for row in biggest[:3])
        return "\n".join(
            [
                f"the package would have {size_text(self.nbytes)}, more than {size_text(limit_bytes)}. Biggest files:",
                *lines,
                f"Leave out what workers do not need: %flame_runner start {cure}, or raise the limit: --max-size SIZE.",
            ]
        )

    def __repr__(self) -> str:
        return "\n".join([self.summary(), *table_text(_COLUMNS, self._cells()), *self._more()])

    def _repr_html_(self) -> str:
        import html

        more = "".join(f"<p>{html.escape(each)}</p>" for each in self._more())
        return f"<p>{html.escape(self.summary())}</p>{table_html(_COLUMNS, self._cells())}{more}"

    def _cells(self) -> list[tuple[str, str, str]]:
        return [_cells_of(row) for row in self.rows[:MAX_SHOWN]]

    def _more(self) -> Sequence[str]:
        left = len(self.rows) - MAX_SHOWN
        return [f"... and {left} more"] if left > 0 else []


def limit_of(size: str) -> int:
    """Read ``--max-size``. Raises UsageError."""
    from flamepy.front_ends import parse_bytes

    try:
        return parse_bytes(size)
    except ValueError as error:
        raise UsageError(f"--max-size: {error}.") from error


def _counted_bytes(row: Row) -> int:
    return 0 if row.is_linked or not row.is_included else row.size_bytes or 0


def _cells_of(row: Row) -> tuple[str, str, str]:
    size = "" if row.size_bytes is None else size_text(row.size_bytes)
    if not row.is_included:
        return row.path, size, f"left out: {row.rule}"
    return row.path, size, "linked, does not count" if row.is_linked else row.rule
