# SPDX-License-Identifier: Apache-2.0
"""Finds the cell that a worker's frame came from.

Functions of a notebook travel by value, and on the way their file name becomes ``<dynamic-code>``; names and line
numbers survive. So a frame is looked up by (qualified name, line) among the code objects that this kernel knows.
"""

from __future__ import annotations

import ast
import functools
import inspect
import types
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flame_jupyter.cells.functions import DEFINITIONS, functions_in


@dataclass(frozen=True)
class CodePlace:
    """One code object: its names, the file that it was compiled from, and the lines that it has code on."""

    name: str
    qualname: str
    filename: str
    lines: frozenset[int]

    def matches(self, function: str, qualname: str, lineno: int) -> bool:
        """Can a frame of that name stop on that line of this code? Python 3.10 knows no qualified names of frames."""
        is_named = self.name == function and qualname in (self.qualname, function)
        return is_named and lineno in self.lines


class CodeIndex:
    """Code that may run on workers, the latest first."""

    def __init__(self) -> None:
        self._places: list[CodePlace] = []

    def add(self, definition: object) -> None:
        """Index a function, class or instance, with all that it is made of and the notebook functions that it uses."""
        found = [place for code, qualname in code_of(definition) for place in places_of(code, qualname)]
        self._places[:0] = [place for place in dict.fromkeys(found) if place not in self._places]

    def place_of(self, function: str, qualname: str, lineno: int) -> CodePlace | None:
        """The code that a frame ran; None when no code of that name has that line."""
        return next((each for each in self._places if each.matches(function, qualname, lineno)), None)


def place_in(cells: Iterable[tuple[str, str]], function: str, qualname: str, lineno: int) -> CodePlace | None:
    """The same for code that no service is made of, such as a lambda among the arguments.

    cells: (file name, source) of cells, in the order in which to look; compiling them is for the error path only.
    """
    for filename, source in cells:
        try:
            code = compile(source, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (SyntaxError, ValueError):  # a cell that failed for that very reason
            continue
        for place in places_of(code, ""):
            if place.matches(function, qualname, lineno):
                return place
    return None


def code_of(definition: object) -> Iterator[tuple[types.CodeType, str]]:
    """The code objects of a definition and of the functions and classes of its module that it refers to."""
    waiting: list[object] = [definition if isinstance(definition, DEFINITIONS) else type(definition)]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, functools.partial):
            waiting.append(each.func)
        elif isinstance(each, types.MethodType):
            waiting.append(each.__func__)
        elif isinstance(each, types.FunctionType):
            # __qualname__ may be borrowed: functools.wraps copies it to the wrapper
            yield each.__code__, getattr(each.__code__, "co_qualname", each.__qualname__)
            waiting += _referenced_by(each)
        elif inspect.isclass(each):
            waiting += [base for base in each.__mro__[1:] if base.__module__ == each.__module__]
            waiting += [function for attribute in vars(each).values() for function in functions_in(attribute)]


def places_of(code: types.CodeType, qualname: str) -> Iterator[CodePlace]:
    """The code object and those nested in it, with qualified names as ``__qualname__`` has them."""
    lines = frozenset(line for _, _, line in code.co_lines() if line is not None)
    yield CodePlace(code.co_name, qualname, code.co_filename, lines)
    is_function = bool(code.co_flags & inspect.CO_OPTIMIZED)
    prefix = "" if not qualname else f"{qualname}.<locals>." if is_function else f"{qualname}."
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from places_of(constant, prefix + constant.co_name)


def _referenced_by(function: types.FunctionType) -> list[object]:
    """Functions and classes of the same module that the function uses: by global name, closure or decoration."""
    names = [name for code in _all_code(function.__code__) for name in code.co_names]
    found: list[object] = [function.__globals__[name] for name in names if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:  # not filled yet
            continue
    wrapped = getattr(function, "__wrapped__", None)
    return [
        each
        for each in (*found, wrapped)
        if isinstance(each, DEFINITIONS) and getattr(each, "__module__", None) == function.__module__
    ]


def _all_code(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _all_code(constant)
