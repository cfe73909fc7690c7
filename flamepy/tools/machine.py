# SPDX-License-Identifier: Apache-2.0
"""What this machine lets an engine have: processors, memory, open files, and places to write to."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from flamepy.config import FlameContext
from flamepy.core.shown import url_without_secrets
from flamepy.engine.local.workers.cpu_limits import usable_cpus
from flamepy.errors import FlameError, InvalidConfig
from flamepy.tools.findings import Finding, Level

LIMITS = "Engine and limits"
PLACES = "Places to write to"
_LOW_MEMORY_BYTES = 512 * 2**20  # a worker with numpy and pandas takes 100 to 150 MB, and there are several
_LOW_DISK_BYTES = 1 * 2**30  # room for a few unpacked packages and for results that spill
_FEW_FILES = 4096  # one descriptor for each big result that is held


def look_at_limits() -> Iterator[Finding]:
    cpus = usable_cpus()
    machine = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else machine
    why = f"the machine has {machine}, this process may use {allowed}"
    if cpus < allowed:
        why += f", its control group allows {cpus}"
    yield Finding(LIMITS, "processors", f"{cpus} ({why})")
    try:
        wanted = FlameContext().workers
    except InvalidConfig:  # told under its own heading
        wanted = None
    yield Finding(LIMITS, "workers", f"{cpus}, one a processor" if wanted is None else f"{wanted}, as configured")
    yield from _memory()
    yield _open_files()


def look_at_places() -> Iterator[Finding]:
    yield _scratch()
    try:
        package = FlameContext().package
    except InvalidConfig:
        package = None
    storage = None if package is None else package.storage
    if storage is None:
        yield Finding(PLACES, "package storage", "none is configured: archives are kept in the scratch directory")
    else:
        yield _storage(storage)


def _storage(url: str) -> Finding:
    from flamepy.packaging import open_storage

    try:
        storage = open_storage(url)
        if storage.directory is not None:
            return writable("package storage", storage.directory, "(configured)")
        storage.find("flame-doctor.tar.gz")
    except FlameError as error:
        return Finding(PLACES, "package storage", url_without_secrets(url), Level.WRONG, str(error))
    return Finding(PLACES, "package storage", f"{storage} (answers; nothing was written)")


def _scratch() -> Finding:
    try:
        directory = Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        cure = "Set TMPDIR to a directory that this process may write to."
        return Finding(PLACES, "scratch", str(error.strerror), Level.WRONG, cure)
    finding = writable("scratch", directory, "(packages are unpacked and big results spill there)")
    wanted = os.environ.get("TMPDIR")
    if wanted and Path(wanted).resolve() != directory.resolve() and finding.level is Level.WELL:
        seen = f"TMPDIR, {wanted}, cannot be written to, so it is {finding.seen}"
        return replace(finding, seen=seen, level=Level.NOTE, cure="Make TMPDIR writable, or unset it.")
    return finding


def writable(subject: str, directory: Path, note: str) -> Finding:
    """Can a file be made in ``directory``, and is there room? A directory that is not there yet may be made."""
    existing = next(each for each in (directory, *directory.parents) if each.exists())
    try:
        with tempfile.NamedTemporaryFile(dir=existing, prefix="flame-doctor-"):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        cure = f"Make it writable, or choose another: {'set TMPDIR' if subject == 'scratch' else 'package.storage'}."
        return Finding(PLACES, subject, f"{directory} cannot be written to: {error.strerror}", Level.WRONG, cure)
    seen = f"{directory} {note}, {_size(free)} free"
    if free < _LOW_DISK_BYTES:
        return Finding(PLACES, subject, seen, Level.NOTE, "Make room there, or choose another directory.")
    return Finding(PLACES, subject, seen)


def _memory() -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = _control_group_memory()
    free = _available_memory()
    seen = _size(total)
    if limit is not None and limit < total:
        seen += f", of which the control group allows {_size(limit)}"
    if free is not None:
        seen += f"; {_size(free)} available"
    if min(free or total, limit or total) < _LOW_MEMORY_BYTES:
        cure = "Close other programs, or use fewer workers: set FLAME_WORKERS=1."
        yield Finding(LIMITS, "memory", seen, Level.NOTE, cure)
    else:
        yield Finding(LIMITS, "memory", seen)


def _available_memory() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def _control_group_memory() -> int | None:
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(file).read_text(encoding="ascii"))
        except (OSError, ValueError):  # "max" is no number
            continue
    return None


def _open_files() -> Finding:
    import resource  # here, because Windows lacks it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = "no limit" if hard == resource.RLIM_INFINITY else str(hard)
    seen = f"{'no limit' if soft == resource.RLIM_INFINITY else soft} (an engine may raise that to {most})"
    if hard != resource.RLIM_INFINITY and hard < _FEW_FILES:
        cure = f"Thousands of big results need as many: raise the hard limit (ulimit -Hn {_FEW_FILES})."
        return Finding(LIMITS, "open files", seen, Level.NOTE, cure)
    return Finding(LIMITS, "open files", seen)


def _size(nbytes: int) -> str:
    return f"{nbytes / 2**30:.1f} GB" if nbytes >= 2**30 else f"{nbytes / 2**20:.0f} MB"
