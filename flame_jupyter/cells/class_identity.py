# SPDX-License-Identifier: Apache-2.0
"""A class that a cell defines again by the same text is the same class to services, and to the results they give.

cloudpickle gives each class that it sends a number of its own; by that number a worker finds the class that it has
already, and the kernel the class of a result. Here the class of the second run gets the number of the first one.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any

from flame_jupyter.cells.digests import data_digest
from flame_jupyter.cells.references import definition_digest

_NAMESPACE = "__main__"  # where cells live


class ClassIdentities:
    """Remembers the classes of a notebook by what they are made of. ``adopt`` after each run of a cell."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], str] = {}  # (qualified name, digest) -> number of cloudpickle's
        self._known: weakref.WeakSet[type] = weakref.WeakSet()

    def adopt(self, variables: Mapping[str, Any]) -> None:
        """Take in the classes that the variables hold by now."""
        for value in list(variables.values()):
            for cls in _classes_in(value):
                if cls not in self._known:
                    self._known.add(cls)
                    self._identify(cls)

    def _identify(self, cls: type) -> None:
        from cloudpickle import cloudpickle  # here, because many notebooks define no class

        # cloudpickle has no public name for the numbers by which it tells classes apart
        key = cls.__qualname__, _digest(cls)
        number = self._numbers.get(key)
        if number is None:
            self._numbers[key] = cloudpickle._get_or_create_tracker_id(cls)  # noqa: SLF001
            return
        with cloudpickle._DYNAMIC_CLASS_TRACKER_LOCK:  # noqa: SLF001
            cloudpickle._DYNAMIC_CLASS_TRACKER_BY_CLASS[cls] = number  # noqa: SLF001
            cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID[number] = cls  # noqa: SLF001


def _classes_in(value: Any) -> Iterator[type]:
    """The class, if it is one of a cell, and those that are defined inside of it."""
    if isinstance(value, type) and value.__module__ == _NAMESPACE:
        yield value
        for inner in vars(value).values():
            if (
                isinstance(inner, type)
                and inner is not value
                and inner.__qualname__.startswith(value.__qualname__ + ".")
            ):
                yield from _classes_in(inner)


def _digest(cls: type) -> str:
    """Of the class and of those that it derives from: one with another base is another class."""
    lineage = [each for each in cls.__mro__ if each.__module__ == _NAMESPACE]
    return data_digest([definition_digest(each) for each in lineage], definition_digest)
