# SPDX-License-Identifier: Apache-2.0
"""What a call of a generator gives back at once: ObjectStream, an iterator of the futures of its parts.

Each part is an ordinary call, which asks the worker for the generator's next value. A few are out ahead of the
consumer, never more: a consumer that is slow, or stops, holds the generator back.
"""

from __future__ import annotations

import _thread
import contextlib
import functools
import itertools
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from flamepy.cache.api import Value
from flamepy.codec.payload import Payload
from flamepy.codec.pickling import encode
from flamepy.codec.reading import decode_or_explain
from flamepy.core.task import TaskState
from flamepy.engine.api import Call
from flamepy.engine.completion import Completion, Outcome
from flamepy.errors import FlameError, NotPicklable, RunnerClosed, StreamLost, WorkerLost
from flamepy.protocol.stream_step import END_TAG, StreamClose, StreamStep
from flamepy.runner.deploy.closing import CANCEL_BOUND_S, finish_sessions
from flamepy.runner.service.call_port import CallPort
from flamepy.runner.waiting.hooks import waiting_for
from flamepy.runner.waiting.object_future import ObjectFuture, WarningsShown
from flamepy.runner.waiting.user_errors import error_of

if TYPE_CHECKING:
    from types import TracebackType

# Parts that are asked for before the consumer wants them: enough to hide the way to the worker and back (0.2 ms) and
# an uneven consumer; few, because each may be big, and because the generator has run that far when it is stopped.
PREFETCHED_PARTS = 4


class StreamLine:
    """The calls of one stream that are out, oldest first. It outlives its ObjectStream, to close behind it."""

    def __init__(
        self, link: CallPort, session_id: str, stream_id: str, first: Call, warnings_shown: WarningsShown
    ) -> None:
        self.link = link
        self.name = first.name
        self.warnings_shown = warnings_shown
        self.out: deque[Completion] = deque()
        self.is_over = False
        self._session_id = session_id
        self._stream_id = stream_id
        self._step = encode(StreamStep(stream_id), what=self.name)
        self._refusal: RunnerClosed | None = None
        try:
            self.out.append(link.submit(session_id, first))
        except BaseException:
            self.end()
            raise

    def fill(self) -> None:
        """Ask for further parts, up to the bound. Raises RunnerClosed when nothing is out any more."""
        while self._refusal is None and len(self.out) < PREFETCHED_PARTS:
            try:
                self.link.check_open(self.name)
                self.out.append(self.link.submit(self._session_id, Call(self._step, name=self.name)))
            except RunnerClosed as error:
                self._refusal = error
        if not self.out and self._refusal is not None:
            self.end()
            raise self._refusal

    def end(self) -> None:
        """The generator has ended by itself: a worker that it had for itself is free."""
        self.is_over = True
        if self._has_own_session():
            with contextlib.suppress(FlameError):  # closed already, with its service or with the engine
                self.link.engine.sessions.close(self._session_id)
            self.link.stream_sessions.discard(self._session_id)

    def close(self, *, wait: bool = False) -> None:
        """Stop the generator: cancel what is out, newest first, then let it clean up. Idempotent.

        wait: return when its worker is free; else it is freed behind.
        """
        if self.is_over:
            return
        self.is_over = True
        engine = self.link.engine
        forget = functools.partial(self.link.stream_sessions.discard, self._session_id)
        try:
            for completion in reversed(self.out):
                if not completion.is_done():
                    engine.cancel(completion)
            close = encode(StreamClose(self._stream_id), what=self.name)
            engine.submit(self._session_id, Call(close, name=self.name))
        except FlameError:  # the service, or the engine, has ended: and the generator with it
            forget()
            return
        if self._has_own_session():
            finish_sessions(
                engine, {self._session_id: ""}, wait=wait, timeout_s=CANCEL_BOUND_S, cancel=False, then=forget
            )

    def close_behind(self) -> None:
        """For the garbage collector, which may run in any thread and under any lock: close in a thread of its own."""
        if not self.is_over:
            # not threading.Thread, whose start takes locks; RuntimeError: the interpreter ends, and the engine with it
            with contextlib.suppress(RuntimeError):
                _thread.start_new_thread(self._close_quietly, ())

    def _close_quietly(self) -> None:
        with contextlib.suppress(Exception):  # no caller is there to be told
            self.close(wait=True)

    def _has_own_session(self) -> bool:
        return self._session_id != self.link.session_id


class ObjectStream(Iterator[ObjectFuture]):
    """The parts of a generator that runs on a worker, for ``for`` and for ``async for``. Made by calling a service.

    Gives the future of each part as soon as the part is there. An error of the generator arrives with the future of
    the part that it failed to make, which is the last. Closing stops the generator: ``close()``, leaving a ``with``, or
    dropping the stream. For one consumer at a time.

    Example:
        >>> from flamepy import Runner
        >>> def squares(count):
        ...     for number in range(count):
        ...         yield number * number
        >>> with Runner("docs") as runner:
        ...     [part.get() for part in runner.service(squares)(4)]
        [0, 1, 4, 9]
    """

    _ids: ClassVar[itertools.count[int]] = itertools.count(1)

    def __init__(self, line: StreamLine, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        self.id = next(self._ids)
        self._line = line
        self._args, self._kwargs = args, kwargs
        self._count = 0
        self._state = "running"
        self._error: FlameError | None = None
        self._returned: Payload | None = None
        self._next: ObjectFuture | None = None
        self._observers: list[Callable[[], object]] = []
        self._finalizer = weakref.finalize(self, line.close_behind)
        self._finalizer.atexit = False  # at the end of the interpreter the engine ends everything
        line.fill()

    # -- the parts

    def __next__(self) -> ObjectFuture:
        """The future of the next part, when the part is there.

        Raises:
            StreamLost: When the generator is gone, with its worker or its state.
            RunnerClosed: When its service was closed.
            CallCancelled: When it was cancelled.
        """
        future = self._awaited()
        if future is None:
            raise StopIteration
        future.wait()
        if not self._is_part(future):
            raise StopIteration
        return future

    def __aiter__(self) -> ObjectStream:
        return self

    async def __anext__(self) -> ObjectFuture:
        future = self._awaited()
        if future is None:
            raise StopAsyncIteration
        if not future.done():
            from flamepy.runner.waiting.bridges import wait_in_loop

            with waiting_for((future,), is_blocking=False):
                await wait_in_loop(self._line.link.engine, future.completion)
        if not self._is_part(future):
            raise StopAsyncIteration
        return future

    def close(self) -> None:
        """Stop the generator; its ``finally`` runs on the worker. Parts that were taken stay. Returns at once."""
        if self._state == "running":
            self._finish("closed")

    def __enter__(self) -> ObjectStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> ObjectStream:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def value(self) -> Any:
        """What the generator returned; None before its end.

        Raises:
            NotPicklable: When it cannot be read here.
        """
        if self._returned is None:
            return None
        return decode_or_explain(self._returned, f"what the generator {self.name} returned")

    # -- what displays show

    @property
    def name(self) -> str:
        """The function, or ``Class.method``."""
        return self._line.name

    @property
    def count(self) -> int:
        """How many parts were given so far."""
        return self._count

    @property
    def state(self) -> str:
        """One of running, ended, failed (by an error of the generator), closed (or cancelled), lost."""
        out = self._line.out
        if self._state == "running" and out and out[0].state is TaskState.CANCELLED:
            return "closed"  # by an interrupt; the consumer hears of it when it asks for the next part
        return self._state

    @property
    def error(self) -> FlameError | None:
        """What ended the stream early: the error of its last part, or of its loss; None otherwise."""
        return self._error

    def done(self) -> bool:
        """Is there no further part? Known when the end was reached, not before."""
        return self.state != "running"

    def on_change(self, callback: Callable[[], object]) -> None:
        """Be told how the stream gets on.

        Args:
            callback: Called when a part was given and when the stream has ended, in the thread of the consumer.
        """
        self._observers.append(callback)

    def __repr__(self) -> str:
        parts = f"{self._count} part{'' if self._count == 1 else 's'}"
        return f"<ObjectStream {self.name} #{self.id} {self._state}, {parts}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise NotPicklable(
            f"{self!r} cannot travel, because its parts come to this process: pass the futures of its parts, "
            "or call the service where they are needed."
        )

    # -- inside

    def _awaited(self) -> ObjectFuture | None:
        """The future of the oldest step that is out; None when the stream is over."""
        if self._state != "running":
            return None
        line = self._line
        try:
            line.fill()
        except RunnerClosed as error:
            self._finish("lost", error)
            raise
        if self._next is None:
            self._next = ObjectFuture(
                line.link.engine, line.out[0], self._args, self._kwargs, warnings_shown=line.warnings_shown
            )
        return self._next

    def _is_part(self, future: ObjectFuture) -> bool:
        """What has become of the oldest step: a part, the end, or the loss of the stream, which is raised."""
        if self._state != "running":  # closed while it was waited for
            return False
        line = self._line
        line.out.popleft()
        self._next = None
        outcome = future.completion.outcome
        assert outcome is not None
        if outcome.value is not None:
            self._returned = _returned(outcome.value)
            if self._returned is not None:
                self._finish("ended")
                return False
            self._count += 1
            self._changed()
            return True
        lost = _loss(outcome, self.name)
        if lost is None:
            self._finish("failed", future.exception(0))
            return True
        self._finish("closed" if outcome.state is TaskState.CANCELLED else "lost", lost)
        raise lost

    def _finish(self, state: str, error: FlameError | None = None) -> None:
        self._state, self._error = state, error
        self._finalizer.detach()
        if state == "closed":
            self._line.close()
        else:
            self._line.end()
        self._changed()

    def _changed(self) -> None:
        for observer in list(self._observers):
            observer()


def _returned(value: Value) -> Payload | None:
    """The payload of what the generator returned, when this is the result of its last step."""
    payload = value.payload()
    if bytes(payload.data[: len(END_TAG)]) != END_TAG:
        return None
    return Payload(payload.data[len(END_TAG) :], payload.buffers)


def _loss(outcome: Outcome, name: str) -> FlameError | None:
    """The error that ends the stream itself; None when it is the generator's own, which belongs to its part."""
    error = error_of(outcome, name)
    if isinstance(error, StreamLost):
        return StreamLost(name, error.reason)
    if isinstance(error, WorkerLost):
        lost = StreamLost(name, str(error))
        lost.__cause__ = error
        return lost
    if outcome.failure is not None or outcome.failed_dependency is not None:
        return None
    return error
