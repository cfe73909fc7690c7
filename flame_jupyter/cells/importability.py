# SPDX-License-Identifier: Apache-2.0
"""Can workers import what the code refers to? Modules travel by name: in the package, or on the path of workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

from IPython.core.error import UsageError

from flame_jupyter.project.location import working_directory


def check_importable(
    modules: Iterable[str], root: Path, is_shipped: Callable[[str], bool], import_path: Sequence[str]
) -> None:
    """Raises UsageError for a module that is imported here and that workers will not find.

    root: the packaged directory; is_shipped: does this file of it travel; import_path: where else workers look.
    """
    looked_in = {os.path.realpath(each) for each in import_path}
    for name in sorted({each.partition(".")[0] for each in modules}):
        file = _file_of(name)
        if file is None:
            continue
        directory = file.parent.parent if file.name.startswith("__init__.") else file.parent
        if str(directory) in looked_in:
            continue
        if directory == root:
            path = str(file.relative_to(root))
            if not is_shipped(path):
                raise UsageError(
                    f"the module {name!r} is used, and the package leaves {path} out: add --include {path}, or see "
                    "with %flame_runner package --dry-run which rule does it."
                )
        elif name not in _installed() and name not in _by_value():
            raise UsageError(
                f"the module {name!r} comes from {directory}, where workers do not look: they have the files of "
                f"{root}. Package that directory, %flame_runner restart --root {directory}, or send the module's "
                f"code along: cloudpickle.register_pickle_by_value({name})."
            )


def import_path_of_workers() -> list[str]:
    """The kernel's, without its working directory: the package stands for that (engine.local.workers.pool)."""
    here = str(working_directory())
    return [each for each in sys.path if each and os.path.abspath(each) != here]


def _file_of(name: str) -> Path | None:
    """The file of a module that a worker must find; None for what comes with Python, and for what has no file."""
    module: ModuleType | None = sys.modules.get(name)
    file = getattr(module, "__file__", None)
    if module is None or name in sys.stdlib_module_names or name == "__main__" or not isinstance(file, str):
        return None
    return Path(os.path.realpath(file))


def _installed() -> Collection[str]:
    """Also what is installed in development mode, by import hooks that workers have too."""
    from importlib.metadata import packages_distributions  # here, because it takes long and few need it

    return packages_distributions().keys()


def _by_value() -> Iterator[str]:
    cloudpickle = sys.modules.get("cloudpickle")
    for name in cloudpickle.list_registry_pickle_by_value() if cloudpickle is not None else ():
        yield str(name).partition(".")[0]
