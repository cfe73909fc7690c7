# SPDX-License-Identifier: Apache-2.0
"""The directory in which archives are written: the caller's, or one of our own that is removed again."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path

from flamepy.errors import PackageError


class Workspace:
    """given: a directory that exists and that its owner removes; None = a temporary one, made when first needed."""

    def __init__(self, given: Path | None) -> None:
        self._given = given

    @cached_property
    def path(self) -> Path:
        """The real path. Raises PackageError when no temporary directory can be made."""
        if self._given is not None:
            return Path(os.path.realpath(self._given))
        try:
            own = os.path.realpath(tempfile.mkdtemp(prefix="flame-packages-"))
        except OSError as error:
            raise PackageError(
                f"no temporary directory for packages: {error}. Free some space, or set TMPDIR to a place that has it."
            ) from error
        self._removal = weakref.finalize(self, _remove, own, os.getpid())
        return Path(own)

    def close(self) -> None:
        """Remove the directory if it is our own. Idempotent."""
        if "path" in self.__dict__ and self._given is None:
            self._removal()


def _remove(directory: str, owner_pid: int) -> None:
    if os.getpid() == owner_pid:  # a forked child ends before the process that still uses it
        shutil.rmtree(directory, ignore_errors=True)
