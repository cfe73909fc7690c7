# SPDX-License-Identifier: Apache-2.0
"""Other versions of ipykernel, each in a directory of its own that goes first on the path of a kernel.

The versions are pinned in requirements/kernels.txt and installed once, below build/kernels; everything else comes from
the development environment. Without an index to install from, what needs them is not run (with CI=true: it fails).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PINS = ROOT / "requirements" / "kernels.txt"
KERNELS = ROOT / "build" / "kernels"
INSTALL_S = 60.0
_IPYKERNEL = "ipykernel=="


def versions() -> list[str]:
    """The versions of ipykernel that are pinned, the oldest first."""
    return list(_pins())


def environment(version: str) -> Path:
    """The directory of this version of ipykernel, installed when it is not there. Skips the test, or fails it."""
    problem = _installed(version)
    if problem:
        said = f"ipykernel {version} could not be installed, so nothing was tried on it: {problem}"
        if os.environ.get("CI") == "true":
            pytest.fail(said)
        pytest.skip(said)
    return KERNELS / version


@lru_cache
def _installed(version: str) -> str:
    """Make sure that the version is there; "" or why it is not. Asked once a run: an index that is down stays down."""
    target = KERNELS / version
    if target.is_dir():
        return ""
    unfinished = KERNELS / f".{version}-{os.getpid()}"
    shutil.rmtree(unfinished, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    try:
        done = subprocess.run(
            [*command, "--no-deps", "--target", str(unfinished), *_pins()[version]],
            capture_output=True,
            text=True,
            timeout=INSTALL_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(unfinished, ignore_errors=True)
        return f"pip did not end within {INSTALL_S:g} s"
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        return done.stderr.strip().rpartition("\n")[2] or f"pip ended with exit code {done.returncode}"
    unfinished.rename(target)  # a directory of that name is a complete one
    return ""


@lru_cache
def _pins() -> dict[str, list[str]]:
    pins: dict[str, list[str]] = {}
    version = ""
    for line in PINS.read_text().splitlines():
        if line.startswith(_IPYKERNEL):
            version = line.removeprefix(_IPYKERNEL)
        if line and not line.startswith("#"):
            pins.setdefault(version, []).append(line)
    return pins
