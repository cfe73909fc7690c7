# SPDX-License-Identifier: Apache-2.0
"""The functions that an entry of a class dictionary stands for. Pure."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable

# what is code itself, and not data
DEFINITIONS = (types.FunctionType, types.MethodType, functools.partial, type)


def functions_in(attribute: object) -> Iterable[object]:
    """The functions behind an entry of a class dictionary: methods of every kind, and the three of a property."""
    if isinstance(attribute, (staticmethod, classmethod)):
        return [attribute.__func__]
    if isinstance(attribute, property):
        return [each for each in (attribute.fget, attribute.fset, attribute.fdel) if each is not None]
    if isinstance(attribute, functools.cached_property):
        return [attribute.func]
    return [attribute] if isinstance(attribute, DEFINITIONS) else []
