# SPDX-License-Identifier: Apache-2.0
"""The generators that a service has begun, kept between the calls that ask for their next part.

They are no part of the saved state: a worker that takes over from a lost one has none of them.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from flamepy.cache.blob import Blob
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode
from flamepy.errors import NotPicklable, StreamLost
from flamepy.protocol.stream_step import END_TAG, StreamClose, StreamStep
from flamepy.worker.outcome import succeeded

# Steps that were asked for before the caller knew of the end still come; a caller has few of them out at one time.
_REMEMBERED_ENDS = 256


@dataclass(frozen=True)
class StreamEnd:
    """What a step gives when the generator has ended. value: what it returned."""

    value: object = None


@dataclass
class _Begun:
    generator: Generator[Any, Any, Any]
    target: object  # what it runs on


class Streams:
    """One step at a time: ``step``, then ``settle`` when its result is on its way, or ``fail``."""

    def __init__(self) -> None:
        self._begun: dict[str, _Begun] = {}
        self._ended: deque[str] = deque(maxlen=_REMEMBERED_ENDS)
        self._stepping: str | None = None

    def step(self, request: StreamStep, target: object, call: Callable[[object, Any], Any]) -> object:
        """The next value of the generator, or StreamEnd. Raises StreamLost, and what the generator raises.

        target: the service's object as it is now; call: makes the generator.
        """
        stream_id = self._stepping = request.stream_id
        if request.begin is not None:
            self._begun[stream_id] = _Begun(call(target, request.begin), target)
        begun = self._begun.get(stream_id)
        if begun is None:
            if stream_id in self._ended:
                return StreamEnd()
            raise StreamLost("the stream", "the worker that ran its generator has ended.")
        if begun.target is not target:
            raise StreamLost("the stream", "a failed call took the object that it runs on back to its last state.")
        try:
            return next(begun.generator)
        except StopIteration as end:
            self._end(stream_id)
            return StreamEnd(end.value)

    def settle(self) -> None:
        self._stepping = None

    def fail(self) -> None:
        """The step has failed, wherever: the generator goes no further."""
        stream_id, self._stepping = self._stepping, None
        if stream_id is not None:
            with contextlib.suppress(BaseException):  # the caller gets the first error
                self.close(StreamClose(stream_id))

    def close(self, request: StreamClose) -> None:
        """Let the generator clean up. Raises what that raises."""
        begun = self._end(request.stream_id)
        if begun is not None:
            begun.generator.close()

    def _end(self, stream_id: str) -> _Begun | None:
        self._ended.append(stream_id)
        return self._begun.pop(stream_id, None)


def result_of(value: object) -> Blob:
    """Encode what a call or a step gave. Raises NotPicklable."""
    if isinstance(value, StreamEnd):
        returned = encode(value.value, what="what the generator returned")
        return Blob.of(Payload(END_TAG + bytes(returned.data), returned.buffers))
    if isinstance(value, GeneratorType):
        raise NotPicklable(
            f"the result is a generator, {value.__qualname__}(), which cannot leave its worker. Return list(...) of "
            "it; or, to have its parts as they come, make the function itself a generator: 'yield from' it."
        )
    if isinstance(value, (AsyncGeneratorType, CoroutineType)):
        raise NotPicklable(
            f"the result is suspended, {value.__qualname__}() is asynchronous, but workers run no event loop: "
            "write a plain function, or return asyncio.run(...) of it."
        )
    return succeeded(value)
