# SPDX-License-Identifier: Apache-2.0
"""Which Python files of the project a service uses: those of the modules that its code names, and what they import."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

# Code that looks for modules in its own way may use any of them.
_LOOKING = frozenset({"__import__", "import_module", "exec", "eval", "run_path", "run_module"})


def used_paths(modules: Iterable[str], paths: Collection[str], root: Path) -> set[str]:
    """The files among ``paths``, relative to ``root``, that code which names ``modules`` can get to.

    A file that cannot be read any more, or looks for modules in a way of its own, is taken to lead everywhere.
    """
    used: set[str] = set()
    places = _places_of(paths)
    waiting = list(modules)
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        for path in _paths_of(name, places):
            if path in used:
                continue
            used.add(path)
            imported = _imports_of(str(root / path), _stamp(root / path), _package_of(path))
            if imported is None:
                return set(paths)
            waiting += imported
    return used


def _places_of(paths: Iterable[str]) -> dict[str, list[tuple[tuple[str, ...], str]]]:
    """Last part of a module's name -> all parts of its path below the root, and the file."""
    places: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for path in paths:
        parts = PurePosixPath(path).with_suffix("").parts
        if parts[-1] == "__init__":
            parts = parts[:-1]
        if parts:
            places.setdefault(parts[-1], []).append((parts, path))
    return places


def _paths_of(module: str, places: Mapping[str, list[tuple[tuple[str, ...], str]]]) -> Iterator[str]:
    """The files of a module and of the packages around it, wherever in the project its import path begins."""
    names = tuple(module.split("."))
    for count in range(1, len(names) + 1):
        for parts, path in places.get(names[count - 1], ()):
            if parts[-count:] == names[:count]:
                yield path


def _package_of(path: str) -> tuple[str, ...]:
    """What a relative import in this file begins at."""
    return PurePosixPath(path).parts[:-1]


def _stamp(file: Path) -> tuple[int, int]:
    try:
        seen = file.stat()
    except OSError:
        return (0, 0)
    return (seen.st_mtime_ns, seen.st_size)


@functools.lru_cache(maxsize=4096)
def _imports_of(file: str, _stamp: tuple[int, int], package: tuple[str, ...]) -> frozenset[str] | None:
    """The modules that a file imports, names of packages and of what is taken from them alike; None = any."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except FileNotFoundError:  # it was removed: what it imported is of no use any more
        return frozenset()
    except (OSError, SyntaxError, ValueError):
        return None
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            around = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*around, *([node.module] if node.module else [])])
            found.update({base, *(f"{base}.{alias.name}" for alias in node.names)} if base else ())
            found.update(alias.name for alias in node.names if not base)
        elif isinstance(node, ast.Call) and looks_for_modules(_called(node.func)):
            return None
    return frozenset(found)


def looks_for_modules(name: str) -> bool:
    """Is this the name of a function by which code may get at any module?"""
    return name in _LOOKING


def _called(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    return function.attr if isinstance(function, ast.Attribute) else ""
