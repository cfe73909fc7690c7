# SPDX-License-Identifier: Apache-2.0
"""What this notebook exports: its cells as the kernel ran them, and the files that they become in a package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from IPython.core.error import UsageError

from flame_jupyter.export.cells import ExportedCell, with_cell, without_cell
from flame_jupyter.export.module import DEFAULT_MODULE, MARK, alias_of, assembled, own_module
from flame_jupyter.export.saved import grouped, module_file
from flame_jupyter.export.siblings import Siblings
from flame_jupyter.export.table import CellTable
from flame_jupyter.export.undefined import undefined_names
from flame_jupyter.output import warn_user


class ExportWarning(UserWarning):
    """Something about exported cells that will fail on a worker, or that was left out."""


class Exports:
    """The exported cells of one kernel. They live as long as it does, whatever Runners come and go."""

    def __init__(self) -> None:
        self._cells: tuple[ExportedCell, ...] = ()
        self._siblings = Siblings()
        self._told: set[str] = set()

    def __len__(self) -> int:
        return len(self._cells)

    def put(self, cell: ExportedCell) -> None:
        """Keep a cell that has run, in the place of the one that it replaces."""
        self._cells = with_cell(self._cells, cell)

    def forget(self, cell_id: str) -> None:
        """That cell has run again, and is not exported any more."""
        self._cells = without_cell(self._cells, cell_id)

    def files(self, root: Path, notebook: Path | None) -> dict[str, bytes]:
        """The modules for a package of ``root``: path -> content. Warns, once each, about what is wrong with them.

        notebook: the file of this notebook, None = not known. Raises UsageError for a name that is taken.
        """
        own = {name: module_file(cells, "the notebook") for name, cells in self._modules(root).items()}
        problems = [problem for name in own for problem in _problems(name, own)]
        alias = own_module(notebook)
        if DEFAULT_MODULE in own and alias not in own:
            if (root / f"{alias}.py").exists():
                problems.append(
                    f"workers import {alias} from the file {alias}.py beside the notebook, and the cells as "
                    f"they run from {DEFAULT_MODULE}: remove the file, or import {DEFAULT_MODULE}."
                )
            else:
                own[alias] = alias_of(DEFAULT_MODULE).encode()
        shipped = dict(own)
        for path, sibling in self._siblings.read(root, notebook).items():
            if sibling.problem:
                problems.append(sibling.problem)
            for name, content in sibling.modules.items():
                if name in shipped:
                    problems.append(
                        f"module {name!r} of {path.name} is not shipped, because another notebook exports to it: "
                        "name another module there."
                    )
                else:
                    shipped[name] = content
        self._tell(problems)
        return {f"{name}.py": content for name, content in shipped.items()}

    def names(self) -> list[str]:
        """What ``cells --drop`` takes: the modules, and the names that the cells define."""
        taken = (name for each in self._cells for name in (each.module or DEFAULT_MODULE, *sorted(each.names)))
        return list(dict.fromkeys(taken))

    def table(self) -> CellTable:
        """What ``%flame_runner cells`` shows."""
        return CellTable(self._cells)

    def drop(self, name: str) -> str:
        """Export no more what defines ``name``, or the module of that name; returns what to print."""
        kept = tuple(each for each in self._cells if name not in (each.module or DEFAULT_MODULE, *each.names))
        if len(kept) == len(self._cells):
            raise UsageError(f"no exported cell defines {name!r}. There are: {', '.join(self.names()) or 'none'}.")
        count = len(self._cells) - len(kept)
        self._cells = kept
        plural = "" if count == 1 else "s"
        return f"{count} cell{plural} dropped. Take '#| export' out of what is not wanted, or it is back when it runs."

    def clear(self) -> str:
        """Export nothing more; returns what to print."""
        count, self._cells = len(self._cells), ()
        return f"{count} cell{'' if count == 1 else 's'} dropped."

    def write(self, target: Path, root: Path | None) -> str:
        """Write a module to a file of the user's; returns what to print. Raises UsageError.

        A file that becomes the module itself, because it lies in the ``root``, takes the place of the cells.
        """
        modules = self._modules(None)
        name = target.stem if target.stem in modules else next(iter(modules), None)
        if name is None:
            raise UsageError("no cell is exported: put '#| export' into the first line of a cell, and run it.")
        if name != target.stem and len(modules) > 1:
            raise UsageError(f"{target.name}: name the file after one of the modules: {', '.join(modules)}.")
        if target.exists() and not target.read_text(encoding="utf-8", errors="replace").startswith(MARK):
            raise UsageError(f"{target} is there already, and was not written by this command: choose another name.")
        try:
            target.write_text(assembled(modules[name], "a notebook"), encoding="utf-8")
        except OSError as error:
            raise UsageError(
                f"cannot write {target}: {error.strerror}. Give a file in a directory that exists."
            ) from error
        if root is None or target.resolve() != root.resolve() / f"{name}.py":
            return f"{target}: module {name!r}, {len(modules[name])} cells."
        self._cells = tuple(each for each in self._cells if (each.module or DEFAULT_MODULE) != name)
        return f"{target}: takes the place of the exported cells. Take '#| export {name}' out of them."

    def _modules(self, root: Path | None) -> Mapping[str, tuple[ExportedCell, ...]]:
        return grouped(self._cells, DEFAULT_MODULE, root)

    def _tell(self, problems: list[str]) -> None:
        for each in problems:
            if each not in self._told:
                self._told.add(each)
                warn_user(each, ExportWarning)


def _problems(name: str, modules: Mapping[str, bytes]) -> list[str]:
    missing = undefined_names(modules[name].decode())
    if not missing:
        return []
    shown, is_one = ", ".join(f"`{each}`" for each in missing), len(missing) == 1
    text = (
        f"{shown} {'is' if is_one else 'are'} used in {name}.py but not exported; workers will raise NameError. "
        f"Export the cell that defines {'it' if is_one else 'them'} too."
    )
    return [text]
