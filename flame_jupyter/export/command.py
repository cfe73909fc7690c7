# SPDX-License-Identifier: Apache-2.0
"""``flame-jupyter export NOTEBOOK [-o DIR]``: the exported cells of a saved notebook as modules in a directory."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from IPython.core.error import UsageError

from flame_jupyter.export.module import MARK
from flame_jupyter.export.saved import UnreadableNotebook, module_file, saved_modules


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="flame-jupyter", description="What the notebook side of Flame does outside of a notebook."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    export = commands.add_parser(
        "export",
        help="write the cells that begin with '#| export' as modules",
        description="Write the cells of a notebook that begin with '#| export [MODULE]' as MODULE.py; without MODULE, "
        "as <notebook>_cells.py.",
    )
    export.add_argument("notebook", type=Path, metavar="NOTEBOOK", help="the .ipynb file")
    export.add_argument("-o", "--output", type=Path, metavar="DIR", help="default: the directory of the notebook")
    asked = parser.parse_args(arguments)
    try:
        written = export_notebook(asked.notebook, asked.output or asked.notebook.parent)
    except (UnreadableNotebook, UsageError, SyntaxError, OSError) as error:
        print(f"flame-jupyter export: {asked.notebook}: {error}", file=sys.stderr)
        return 1
    for path in written:
        print(path)
    return 0


def export_notebook(notebook: Path, directory: Path) -> list[Path]:
    """Write the modules of a notebook; all or none. Returns their files.

    A file that was written by hand is left alone: UsageError. Raises UnreadableNotebook, SyntaxError, OSError too.
    """
    modules = saved_modules(notebook, None)
    if not modules:
        raise UsageError("no cell is exported. Begin those that are wanted with the line '#| export'.")
    files = {directory / f"{name}.py": module_file(cells, notebook.name) for name, cells in modules.items()}
    for path in files:
        if path.exists() and not path.read_bytes().startswith(MARK.encode()):
            raise UsageError(f"{path} is there already, and was not made from cells: choose another directory with -o.")
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        path.write_bytes(content)
    return list(files)


if __name__ == "__main__":
    sys.exit(main())
