# SPDX-License-Identifier: Apache-2.0
"""What the name of a service means on a worker, where code of the notebook that uses the name has travelled to.

As in the notebook, calls go to the service and ``.local`` is the original. One thing differs: the name of a class means
the class there, so that helpers and subclasses that were written for the class work. Workers load this module.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flamepy.runner import RunnerService


class TravelledHandle:
    """The service of a function."""

    def __init__(self, find: Callable[..., RunnerService], found_by: tuple[Any, ...], original: bytes | str) -> None:
        """find, found_by: how the service itself travels; original: pickled, or a text that says why it is not here."""
        self._service = find(*found_by)
        self._original = original

    @functools.cached_property
    def local(self) -> Any:
        """Read when it is asked for."""
        if isinstance(self._original, str):
            from flamepy.errors import InvalidState

            raise InvalidState(self._original)
        return pickle.loads(self._original)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._service(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # what copy, pickle and inspect ask for
            raise AttributeError(name)
        return getattr(self._service, name)

    def __repr__(self) -> str:
        return repr(self._service)

    def __reduce__(self) -> tuple[Any, ...]:
        find, found_by, *_ = self._service.__reduce__()
        return type(self), (find, found_by, self._original)


class TravelledClass(TravelledHandle):
    """The service of a class: calling it makes a plain object, its methods are those of the service's object."""

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self.local(*args, **kwargs)

    def __getattribute__(self, name: str) -> Any:
        # a subclass may call the constructor of its base by the name of that
        return self.local.__init__ if name == "__init__" else super().__getattribute__(name)

    def __instancecheck__(self, instance: object) -> bool:
        return isinstance(instance, self.local)

    def __subclasscheck__(self, subclass: type) -> bool:
        return issubclass(getattr(subclass, "local", subclass), self.local)

    def __mro_entries__(self, bases: tuple[Any, ...]) -> tuple[type, ...]:
        return (self.local,)


class NoObject:
    """In place of the service of a class whose constructor needs arguments: there is no object to call."""

    def __init__(self, message: str) -> None:
        self._message = message

    def __getattr__(self, name: str) -> Any:
        from flamepy.front_ends import ConstructorNeedsArguments

        if name.startswith("_"):
            raise AttributeError(name)
        raise ConstructorNeedsArguments(self._message)

    def __reduce__(self) -> tuple[Any, ...]:
        return NoObject, (self._message,)


def service_behind(handle: TravelledHandle) -> RunnerService:
    """What a handle calls. A function, because the names on the handle belong to the user's methods."""
    return handle._service  # noqa: SLF001 - it is this module's
