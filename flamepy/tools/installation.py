# SPDX-License-Identifier: Apache-2.0
"""What is installed, what is missing, and who else has put a package ``flamepy`` here."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterator

from flamepy.tools.findings import Finding, Level

OURS = "flame-jupyter"
GROUP = "Installation"
_FRONT_ENDS = ("jupyterlab", "notebook", "nbclient", "papermill", "voila")


def look_at_installation() -> Iterator[Finding]:
    import flamepy

    yield Finding(GROUP, "Python", f"{platform.python_version()} at {sys.executable}, {platform.platform()}")
    yield Finding(GROUP, OURS, f"{flamepy.__version__} at {str(flamepy.__file__).rpartition('/')[0]}")
    yield from _other_owners()
    yield from _needed()
    shown = [f"{name} {version}" for name in _FRONT_ENDS if (version := version_of(name)) is not None]
    if shown:
        yield Finding(GROUP, "front ends", ", ".join(shown))


def version_of(distribution: str) -> str | None:
    """None when it is not installed."""
    from importlib import metadata

    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def kernel_problem(version: str) -> str | None:
    """What is wrong with this version of ipykernel; None when it is one that works."""
    if not version.startswith("7.0."):
        return None
    return (
        f"ipykernel {version} fails on what threads send, so live views will not update. "
        "Install another version: pip install 'ipykernel!=7.0.*', and restart the kernel."
    )


def _overlooks_requests(version: str) -> bool:
    """Before 7.4, ipykernel 7 may never read what comes while it sends a reply (ipython/ipykernel#1554)."""
    return version.startswith(("7.1.", "7.2.", "7.3."))


def _other_owners() -> Iterator[Finding]:
    """Another distribution with our import name: whichever was installed last has overwritten files of the other."""
    from importlib import metadata

    for each in metadata.distributions():
        name = each.metadata["Name"]
        record = "\n" + (each.read_text("RECORD") or "")
        if name is not None and name.lower() != OURS and "\nflamepy/__init__.py," in record:
            cure = (
                f"Keep the two in environments of their own. Here: pip uninstall {name}, "
                f"then pip install --force-reinstall --no-deps {OURS}."
            )
            seen = f"the distribution {name} {each.version} owns the import name 'flamepy' too"
            yield Finding(GROUP, "import name", seen, Level.WRONG, cure)


def _needed() -> Iterator[Finding]:
    """What we cannot do without, as our own metadata lists it."""
    from importlib import metadata

    try:
        required = metadata.requires(OURS) or []
    except metadata.PackageNotFoundError:
        cure = f"Install it, so that its parts come with it: pip install {OURS}."
        yield Finding(GROUP, OURS, "runs from a directory that nobody installed", Level.NOTE, cure)
        return
    versions = {}
    for requirement in required:
        condition = requirement.partition(";")[2]
        if "extra" in condition or ("python_version" in condition and sys.version_info >= (3, 11)):
            continue
        name = re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]
        versions[name] = version_of(name)
    present = [f"{name} {version}" for name, version in versions.items() if version is not None]
    yield Finding(GROUP, "needs", ", ".join(present))
    for name, version in versions.items():
        if version is None:
            yield Finding(GROUP, name, "is not installed", Level.WRONG, f"Run: {sys.executable} -m pip install {name}")
        elif name == "ipykernel" and (problem := kernel_problem(version)):
            seen, _, cure = problem.partition(". ")
            yield Finding(GROUP, name, seen, Level.WRONG, cure)
        elif name == "ipykernel" and _overlooks_requests(version):
            seen = f"{version} can overlook a cell that comes while it answers another: nothing runs, nothing is said"
            yield Finding(GROUP, name, seen, Level.NOTE, f"Run: {sys.executable} -m pip install 'ipykernel>=7.4'")
