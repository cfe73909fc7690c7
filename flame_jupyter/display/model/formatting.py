# SPDX-License-Identifier: Apache-2.0
"""Numbers, times and captured output as people read them. Pure; shared by text, HTML and the widget."""

from __future__ import annotations

import re
from datetime import datetime, timezone

ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])")
CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def duration_text(seconds: float) -> str:
    """``0.3 ms``, ``20 ms``, ``2.3 s``, ``42 s``, ``3 min 5 s``, ``2 h 4 min``: the words of the widget's script."""
    if seconds < 0.00005:
        return "0 s"
    if seconds < 0.00995:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size_text(nbytes: int) -> str:
    """Decimal units, as file managers show them: ``28 bytes``, ``1.2 kB``, ``12 MB``."""
    if nbytes < 1000:
        return "1 byte" if nbytes == 1 else f"{nbytes} bytes"
    size = float(nbytes)
    for unit in ("kB", "MB", "GB"):
        size /= 1000
        if size < 999.5:
            return f"{size:.1f} {unit}" if size < 9.95 else f"{size:.0f} {unit}"
    return f"{size / 1000:.1f} TB"


def clock_text(epoch_s: float) -> str:
    return _local(epoch_s).strftime("%H:%M:%S")


def date_text(epoch_s: float) -> str:
    return _local(epoch_s).strftime("%Y-%m-%d %H:%M:%S")


def _local(epoch_s: float) -> datetime:
    return datetime.fromtimestamp(epoch_s, tz=timezone.utc).astimezone()


def counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def printed_text(output: str) -> str:
    """Captured output as a terminal would leave it: no colour codes, and a progress bar's last line only."""
    lines = [_last_overwrite(line) for line in ANSI.sub("", output).replace("\r\n", "\n").split("\n")]
    return CONTROLS.sub("", "\n".join(lines)).strip("\n")


def _last_overwrite(line: str) -> str:
    return next((part for part in reversed(line.split("\r")) if part), "")


def tail(text: str, *, max_chars: int) -> str:
    """The end of ``text``, cut at a line where one is near; an ellipsis line says that something is missing."""
    if len(text) <= max_chars:
        return text
    cut = text[-max_chars:]
    newline = cut.find("\n", 0, max_chars // 4)
    return "…\n" + cut[newline + 1 :]


def head(text: str, *, max_chars: int) -> str:
    """The beginning of ``text``; what is missing is counted."""
    if len(text) <= max_chars:
        return text
    return f"{text[:max_chars]}… ({len(text) - max_chars:,} more characters)"
