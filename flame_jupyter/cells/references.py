# SPDX-License-Identifier: Apache-2.0
"""What code of a notebook refers to: functions, classes and data of other cells, services, and modules.

Follows global names as pickling by value does, so that what a worker would get anew is what counts as changed.
"""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.core.autocall import IPyAutocall
from IPython.core.getipython import get_ipython
from IPython.core.interactiveshell import InteractiveShell

from flame_jupyter.cells.digests import code_digest, data_digest, measured_digest
from flame_jupyter.cells.functions import functions_in
from flame_jupyter.cells.used_files import looks_for_modules

_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_NAMESPACE = "__main__"  # where cells live
SERVICE = "service "  # what the digest of a service begins with; its serial number follows
SerialOf = Callable[[object], int | None]


@dataclass
class References:
    """values: name -> digest of what it means; services: serial numbers of those called; modules: names of modules.

    data: name -> bytes, of the data that functions take along. imports: names of modules that the code imports while
    it runs; looks_for_modules: it may import others, which no one can tell. shell: names by which functions reach
    the shell, which is in the kernel only.
    """

    values: dict[str, str] = field(default_factory=dict)
    data: dict[str, int] = field(default_factory=dict)
    services: set[int] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    looks_for_modules: bool = False
    shell: set[str] = field(default_factory=set)


def references_of(
    code: types.CodeType, own: Collection[str], variables: Mapping[str, Any], serial_of: SerialOf
) -> References:
    """Everything that ``code`` reaches through global names.

    own: names that it binds itself: they are its own text. serial_of: the serial number of the service whose handle a
    value is; None for every other value.
    """
    found = References()
    _note_imports(code, found)
    functions = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    taken_along = list(dict.fromkeys(name for each in functions for name in global_names(each)))
    for name in taken_along:
        if name not in own or name not in variables:
            continue
        value = variables[name]
        if serial_of(value) is None and _is_data(value):
            found.data[name] = measured_digest(value, definition_digest)[1]
        elif isinstance(value, types.ModuleType):
            found.modules.add(value.__name__)
    seen = set(own)
    _walk(taken_along, variables, seen, found, serial_of)
    data, shell = dict(found.data), set(found.shell)
    _walk(list(global_names(code)), variables, seen, found, serial_of)
    found.data, found.shell = data, shell  # what the cell alone reads, when it runs, stays here
    return found


def _walk(
    waiting: list[str], variables: Mapping[str, Any], seen: set[str], found: References, serial_of: SerialOf
) -> None:
    while waiting:
        name = waiting.pop(0)
        if name not in seen and name in variables:
            seen.add(name)
            waiting += _follow(name, variables[name], found, serial_of)


def global_names(code: types.CodeType) -> Iterator[str]:
    """The global names that the code and the code nested in it read, in order of appearance."""
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADS:
            yield str(instruction.argval)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from global_names(constant)


def _note_imports(code: types.CodeType, found: References) -> None:
    """The modules that the code, and the code nested in it, imports when it runs."""
    for instruction in dis.get_instructions(code):
        if instruction.opname == "IMPORT_NAME":
            found.imports.add(str(instruction.argval))
        elif instruction.opname == "IMPORT_FROM":  # it may be a module of the package that was named before
            found.imports.update([f"{name}.{instruction.argval}" for name in found.imports])
        elif isinstance(instruction.argval, str) and looks_for_modules(instruction.argval):
            found.looks_for_modules = True
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            _note_imports(constant, found)


def _follow(name: str, value: Any, found: References, serial_of: SerialOf) -> list[str]:
    """Take one value into account; returns the names that it refers to itself."""
    if (serial := serial_of(value)) is not None:
        found.values[name] = f"{SERVICE}{serial}"
        found.services.add(serial)
        return []
    value = _unwrapped(value)
    if _is_of_the_shell(value):
        found.shell.add(name)
    elif isinstance(value, types.ModuleType):
        found.modules.add(value.__name__)
    elif _is_of_a_cell(value):
        found.values[name] = definition_digest(value)
        bases = [base.__name__ for base in value.__mro__[1:]] if isinstance(value, type) else []
        functions = list(_functions_of(value))
        for function in functions:
            _note_imports(function.__code__, found)
        return [*bases, *(each for function in functions for each in global_names(function.__code__))]
    elif isinstance(value, (types.FunctionType, types.BuiltinFunctionType, type)):
        found.modules.add(value.__module__ or "")
        found.values[name] = f"{value.__module__}.{value.__qualname__}"
    else:
        found.modules.add(type(value).__module__)
        found.values[name], found.data[name] = measured_digest(value, definition_digest)
    return []


def definition_digest(value: Any, around: frozenset[int] = frozenset()) -> str:
    """Equal for a function or class of a cell that is defined again by the same text.

    around: the definitions that this one was met in; they may refer to each other in circles.
    """
    if id(value) in around:
        return "itself"
    inner = functools.partial(definition_digest, around=around | {id(value)})
    if isinstance(value, types.FunctionType):
        closure = [content for _, content in _closure(value)]
        return code_digest(value.__code__) + data_digest((value.__defaults__, value.__kwdefaults__, closure), inner)
    parts = [repr([(base.__module__, base.__qualname__) for base in value.__bases__])]
    for name, attribute in vars(value).items():
        functions = functions_in(attribute)
        if functions:
            parts.append(name + "".join(map(inner, functions)))
        elif not name.startswith("__") and not inspect.isdatadescriptor(attribute):
            parts.append(name + data_digest(attribute, inner))
    return data_digest(parts, inner)


def _is_of_the_shell(value: Any) -> bool:
    """Is it the shell of the kernel, or what IPython makes of ``get_ipython``, ``exit`` and ``quit``?"""
    owner = getattr(value, "__self__", value)  # get_ipython is a method of the shell in a kernel
    return isinstance(owner, (InteractiveShell, IPyAutocall)) or value is get_ipython


def _is_data(value: Any) -> bool:
    others = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)
    return not isinstance(_unwrapped(value), others)


def _is_of_a_cell(value: Any) -> bool:
    return isinstance(value, (types.FunctionType, type)) and value.__module__ == _NAMESPACE


def _unwrapped(value: Any) -> Any:
    """What is behind a decorator that is no function itself, such as ``functools.cache``: it pickles as its name."""
    wrapped = inspect.getattr_static(value, "__wrapped__", None)
    return wrapped if isinstance(wrapped, types.FunctionType) and not isinstance(value, types.FunctionType) else value


def _functions_of(definition: Any) -> Iterator[types.FunctionType]:
    """The functions that a function or class of a cell is made of: methods, and those that decorators hold."""
    waiting, seen = [definition], set()
    while waiting:
        each = _unwrapped(waiting.pop())
        if id(each) in seen or not _is_of_a_cell(each):
            continue
        seen.add(id(each))
        if isinstance(each, types.FunctionType):
            yield each
            waiting += [content for _, content in _closure(each)]
        else:
            waiting += [function for attribute in vars(each).values() for function in functions_in(attribute)]


def _closure(function: types.FunctionType) -> list[tuple[str, Any]]:
    values = []
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        if name == "__class__":  # leads back to the class that is being looked at
            continue
        try:
            values.append((name, cell.cell_contents))
        except ValueError:  # not filled yet
            continue
    return values
