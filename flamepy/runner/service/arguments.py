# SPDX-License-Identifier: Apache-2.0
"""A call with its arguments -> bytes, and the results of other calls that it waits for. The first step of a call."""

from __future__ import annotations

from typing import Any

from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode, placeholder
from flamepy.core.cache import ObjectRef
from flamepy.engine.api import Engine
from flamepy.engine.completion import Completion
from flamepy.errors import InvalidArgument, NotPicklable
from flamepy.protocol.stream_step import StreamStep
from flamepy.runner.types import ShortRequest
from flamepy.runner.waiting.object_future import ObjectFuture


class _Fetched:
    """An ObjectRef given directly as an argument: the call gets the value, as in 0.6. Deeper ones stay references."""

    __slots__ = ("ref",)

    def __init__(self, ref: ObjectRef) -> None:
        self.ref = ref

    def __reduce__(self) -> tuple[Any, ...]:
        left = placeholder(self.ref)
        assert left is not None  # only ever inside a call that is being encoded
        return left


def _fetched(argument: Any) -> Any:
    return _Fetched(argument) if type(argument) is ObjectRef else argument


def _request(method: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ShortRequest:
    if args and ObjectRef in map(type, args):
        args = tuple(map(_fetched, args))
    if kwargs and ObjectRef in map(type, kwargs.values()):
        kwargs = {key: _fetched(each) for key, each in kwargs.items()}
    return method, args or None, kwargs or None


def encoded_call(
    method: str | None,
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    found: list[object],
    *,
    stream_id: str | None = None,
) -> Payload:
    """The call as bytes; futures and refs in it are appended to ``found``. Raises NotPicklable.

    method: None = the object itself; stream_id: of the generator that the call begins.
    """
    request: object = _request(method, args, kwargs)
    if stream_id is not None:
        request = StreamStep(stream_id, request)
    try:
        return encode(request, dependencies=found, what=name)
    except NotPicklable:
        _blame_an_argument(name, args, kwargs)
        raise


def _blame_an_argument(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Encode the arguments one by one: the first that fails raises NotPicklable, with its place in the call."""
    for position, argument in enumerate(args, 1):
        encode(argument, dependencies=[], what=f"argument {position} of {name}()")
    for key, argument in kwargs.items():
        encode(argument, dependencies=[], what=f"argument {key!r} of {name}()")


def dependencies_of(found: list[object], engine: Engine, name: str) -> list[Completion | ObjectRef]:
    """What the engine waits for before it runs the call. Raises InvalidArgument for a future of another engine."""
    dependencies: list[Completion | ObjectRef] = []
    for each in found:
        if isinstance(each, ObjectFuture):
            if not each.belongs_to(engine):
                raise InvalidArgument(
                    f"an argument of {name}() is a future of another engine, {each!r}: "
                    "take its value with get() and pass that."
                )
            dependencies.append(each.completion)
        elif isinstance(each, ObjectRef):
            dependencies.append(each)
    return dependencies
