# SPDX-License-Identifier: Apache-2.0
"""Conditions under which files cannot be read or written, made for real."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY_UID = 65534
PUBLIC = "/var/tmp"  # pytest's own directories let nobody else in


@contextlib.contextmanager
def public_directory(suffix: str = "") -> Iterator[Path]:
    """A directory that another user may enter."""
    path = Path(tempfile.mkdtemp(suffix=suffix, dir=PUBLIC))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def as_ordinary_user() -> Iterator[None]:
    """For root, permissions mean nothing: be somebody else for a while."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY_UID)
    try:
        yield
    finally:
        os.seteuid(user)


@contextlib.contextmanager
def files_limited_to(nbytes: int) -> Iterator[None]:
    """Writing more into one file fails, as it does on a full file system."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (nbytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
