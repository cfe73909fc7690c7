# SPDX-License-Identifier: Apache-2.0
"""Which part of a value cannot be pickled: asked by ``encode`` after it failed, to name the culprit in the error.

The walk follows what pickle would follow (globals and closures of functions, states of objects, items of containers)
into the first part that fails on its own, until the parts of the failing thing are all fine: then it is the culprit.
"""

from __future__ import annotations

import dis
import functools
import inspect
import types
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from flamepy.codec.byvalue import Pickler
from flamepy.core.shown import short_repr

MAX_DEPTH = 24  # deeper paths are of no help to a reader
MAX_OBJECTS = 5_000_000  # pickled in all while searching: about two seconds
_GLOBAL_OPERATIONS = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL"})
_NEVER_PICKLED = frozenset({"__dict__", "__weakref__"})


class _Part(NamedTuple):
    label: str  # "" for an envelope of our own, which is not worth a mention
    value: Any


class _Spent(Exception):
    """The search has pickled MAX_OBJECTS objects: a signal of this module, never seen outside."""


def find_culprit(value: object) -> str:
    """Name what cannot be pickled in ``value``: ``global 'lock' (a _thread.lock) of function f``."""
    search = _Search()
    trail: list[tuple[str, object]] = []
    suspect: Any = value
    try:
        for _ in range(MAX_DEPTH):
            search.ancestors[id(suspect)] = suspect
            part = search.first_failing(list(_parts_of(suspect)))
            if part is None:
                break
            if part.label:
                trail.append((part.label, suspect))
            suspect = part.value
    except _Spent:
        pass  # as far as the search came is still a help
    return _described(trail, suspect)


class _Search:
    """Pickles parts on trial. ``ancestors``, the path to the suspect, count as fine: parts may point back to them."""

    def __init__(self) -> None:
        self.ancestors: dict[int, object] = {}
        self.objects = 0

    def first_failing(self, parts: list[_Part]) -> _Part | None:
        """The first part that cannot be pickled, by bisection: a container may have a million good items."""
        if self.travels([part.value for part in parts]):
            return None
        while len(parts) > 1:
            first_half = parts[: len(parts) // 2]
            fine = self.travels([part.value for part in first_half])
            parts = parts[len(parts) // 2 :] if fine else first_half
        return parts[0]

    def travels(self, value: object) -> bool:
        try:
            _TrialPickler(self).dump(value)
        except _Spent:
            raise
        except Exception:  # noqa: BLE001 - any exception means that it cannot be pickled
            return False
        return True


class _Nowhere:
    def write(self, data: object) -> None:
        """Forget ``data``."""


class _TrialPickler(Pickler):
    def __init__(self, search: _Search) -> None:
        super().__init__(_Nowhere(), buffer_callback=lambda buffer: None)
        self._search = search

    def persistent_id(self, value: object) -> str | None:
        """Called by pickle for each object: a string stands for it in the stream, None means pickle it."""
        self._search.objects += 1
        if self._search.objects > MAX_OBJECTS:
            raise _Spent
        return "ancestor" if id(value) in self._search.ancestors else None


def _parts_of(owner: Any) -> Iterator[_Part]:
    if isinstance(owner, (list, tuple, set, frozenset)):
        for index, item in enumerate(owner):
            yield _Part(f"item {index}", item)
    elif type(owner) is dict:
        for key, item in owner.items():
            yield _Part(f"key {_shown(key)}", key)
            yield _Part(f"item {_shown(key)}", item)
    elif isinstance(owner, types.FunctionType):
        yield from _parts_of_function(owner)
    elif isinstance(owner, types.MethodType):
        yield _Part("the object", owner.__self__)
        yield _Part("the function", owner.__func__)
    elif isinstance(owner, functools.partial):
        yield _Part("the function", owner.func)
        yield from _arguments(owner.args, owner.keywords)
    elif isinstance(owner, (staticmethod, classmethod)):
        yield _Part("", owner.__func__)
    elif isinstance(owner, property):
        for accessor in (owner.fget, owner.fset, owner.fdel):
            yield _Part("", accessor)
    elif inspect.isclass(owner):
        for base in owner.__bases__:
            yield _Part("base class", base)
        for name, item in vars(owner).items():
            if name not in _NEVER_PICKLED:
                yield _Part(f"attribute .{name}", item)
    else:
        yield from _parts_of_object(owner)


def _parts_of_function(function: types.FunctionType) -> Iterator[_Part]:
    for name in _globals_in(function.__code__):
        if name in function.__globals__:
            yield _Part(f"global {name!r}", function.__globals__[name])
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield _Part(f"captured variable {name!r}", cell.cell_contents)
        except ValueError:  # an empty cell: the variable has no value yet
            continue
    defaults = function.__defaults__ or ()
    positional = function.__code__.co_varnames[: function.__code__.co_argcount]
    named = dict(zip(positional[len(positional) - len(defaults) :], defaults, strict=True))
    for name, default in (named | (function.__kwdefaults__ or {})).items():
        yield _Part(f"default of parameter {name!r}", default)
    for name, item in vars(function).items():
        yield _Part(f"attribute .{name}", item)


def _globals_in(code: types.CodeType) -> dict[str, None]:
    """Names of the globals that ``code`` and the functions inside it use, in order (a dict keeps it)."""
    names = {str(step.argval): None for step in dis.get_instructions(code) if step.opname in _GLOBAL_OPERATIONS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _globals_in(constant)
    return names


def _parts_of_object(owner: Any) -> Iterator[_Part]:
    """What the object itself hands to pickle, so that a ``__getstate__`` which leaves something out is respected."""
    try:
        reduced = owner.__reduce_ex__(5)
    except Exception:  # noqa: BLE001 - it refuses by itself: it has no parts, it is the culprit
        return
    if not isinstance(reduced, tuple):
        return
    _maker, made_from, state, items, pairs = (*reduced, None, None, None)[:5]
    for index, argument in enumerate(made_from):
        yield _Part("its class" if argument is type(owner) else f"constructor argument {index}", argument)
    # objects with __slots__ have two states: (attributes or None, slots)
    is_pair = isinstance(state, tuple) and len(state) == 2 and all(isinstance(s, (dict, type(None))) for s in state)
    for attributes in state if is_pair else (state,):
        if isinstance(attributes, dict):
            yield from _attributes(attributes)
        elif attributes is not None:
            yield _Part("state", attributes)
    for index, item in enumerate(items or ()):
        yield _Part(f"item {index}", item)
    for key, item in pairs or ():
        yield _Part(f"item {_shown(key)}", item)


def _attributes(attributes: dict[Any, Any]) -> Iterator[_Part]:
    """The state of an object; the envelopes of a call (``RunnerRequest``, ``RunnerContext``) in their user's words."""
    if attributes.keys() == {"method", "args", "kwargs"}:
        yield from _arguments(attributes["args"] or (), attributes["kwargs"] or {})
        return
    for name, item in attributes.items():
        yield _Part("" if name == "execution_object" else f"attribute .{name}", item)


def _arguments(positional: Any, named: Mapping[str, Any]) -> Iterator[_Part]:
    for index, item in enumerate(positional):
        yield _Part(f"argument {index + 1}", item)
    for name, item in named.items():
        yield _Part(f"argument {name!r}", item)


def _described(trail: list[tuple[str, object]], culprit: object) -> str:
    """``<part> (a <type>) of <owner>, in <part>, in <part>``, innermost first."""
    if not trail:
        return f"the value itself ({_kind_of(culprit)})"
    (label, owner), *outer = reversed(trail)
    whose = "" if label.startswith("argument") else f" of {_name_of(owner)}"
    return ", in ".join([f"{label} ({_kind_of(culprit)}){whose}", *(label for label, _ in outer)])


def _kind_of(value: object) -> str:
    if isinstance(value, (types.FunctionType, type, types.ModuleType)):
        return _name_of(value)
    return _with_article(_type_name(type(value)))


def _name_of(owner: object) -> str:
    if isinstance(owner, types.FunctionType):
        return f"function {owner.__qualname__.rpartition('<locals>.')[2]}"
    if isinstance(owner, type):
        return f"class {owner.__qualname__.rpartition('<locals>.')[2]}"
    if isinstance(owner, types.ModuleType):
        return f"module {owner.__name__}"
    name = type(owner).__qualname__.rpartition("<locals>.")[2]
    return _with_article(name) if type(owner).__module__ == "builtins" else name


def _type_name(kind: type) -> str:
    name = kind.__qualname__.rpartition("<locals>.")[2]
    return name if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{name}"


def _with_article(name: str) -> str:
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def _shown(key: object) -> str:
    """A key in a message: short, and never the ``repr`` of a user's class, which may fail."""
    return short_repr(key)[:40] if isinstance(key, (str, int, float, bytes, bool, type(None))) else _kind_of(key)
